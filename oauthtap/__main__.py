"""`python -m oauthtap`."""

from oauthtap.cli import main

raise SystemExit(main())
