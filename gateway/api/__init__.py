"""HTTP: routes, authentication, problems, OpenAPI."""
