-- What an administrator sets by hand: the scope `mcp`, and that the one user may give it away.
INSERT INTO g_scope (gs_name, gs_display_name, gs_password_required, gs_password_max_age) VALUES ('mcp', 'MCP', 0, 0);
INSERT INTO g_user_scope (gus_name) VALUES ('openid'), ('mcp');
INSERT INTO g_user_scope_user (gu_id, gus_id)
  SELECT gu_id, gus_id FROM g_user, g_user_scope WHERE gus_name IN ('openid', 'mcp');
-- The user has consented to every client before it asks.
CREATE TRIGGER consents AFTER INSERT ON g_client BEGIN
  INSERT INTO g_client_user_scope (gs_id, gcus_username, gcus_client_id)
    SELECT gs_id, 'admin', NEW.gc_client_id FROM g_scope WHERE gs_name IN ('openid', 'mcp');
END;
-- A client that registers with `none` is a public one; as it comes, Glewlwyd refuses its code (unauthorized_client).
CREATE TRIGGER public AFTER INSERT ON g_client_property
  WHEN NEW.gcp_name = 'token_endpoint_auth_method' AND NEW.gcp_value = 'none' BEGIN
  UPDATE g_client SET gc_confidential = 0 WHERE gc_id = NEW.gc_id;
END;
