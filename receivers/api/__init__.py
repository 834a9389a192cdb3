"""The HTTP API: what the commands show and do, for those who are elsewhere. Off until a token exists."""
