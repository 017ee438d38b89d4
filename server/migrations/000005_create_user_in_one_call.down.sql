-- A server that needs the function cannot create users without it.

DROP FUNCTION create_user;
