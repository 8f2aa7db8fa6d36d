"""What goes in and comes out of REST calls, as serializers: they parse, render and describe in OpenAPI."""
