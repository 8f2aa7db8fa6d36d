"use strict";

// A session sends its CSRF token, which other sites' pages cannot read; a token in "Authorize" needs none.
const csrfCookie = () => {
  const found = document.cookie.split("; ").find((part) => part.startsWith("{{ csrf_cookie_name|escapejs }}="));
  return found ? decodeURIComponent(found.split("=")[1]) : "";
};

window.ui = SwaggerUIBundle({
  url: "{{ schema_url|escapejs }}",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (!["GET", "HEAD", undefined].includes(request.method)) {
      request.headers["X-CSRFToken"] = csrfCookie();
    }
    return request;
  },
});
