"""`manage.py migrate` as everywhere; `manage.py serve` behind the door, at PORT."""

from __future__ import annotations

import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "app.settings"

if sys.argv[1] == "serve":
    import uvicorn
    from django.core.asgi import get_asgi_application
    from door import Door

    application = Door(get_asgi_application())
    uvicorn.run(application, host="127.0.0.1", port=int(os.environ["PORT"]), lifespan="off", log_level="error")
else:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
