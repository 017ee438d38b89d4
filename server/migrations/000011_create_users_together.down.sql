-- A server that needs the function goes on without it, a little slower.

DROP FUNCTION create_users;
