"""The OpenAPI description and the page that shows it, both from our own host."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer, TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import PublicView


@cache
def description() -> dict[str, Any]:
    """The description of all calls; made once in a process, since it changes only with the code."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


class OpenApi(PublicView):
    renderer_classes = (JSONRenderer,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(description(), headers={"Cache-Control": "max-age=300"})


class Docs(SpectacularSwaggerSplitView):
    """Page and script apart, so that no script or style stands in the page: our policy allows none."""

    authentication_classes = ()
    throttle_classes = ()
    renderer_classes = [TemplateHTMLRenderer]
    url_name = "api-openapi"
    template_name = "api/docs.html"
    template_name_js = "api/docs.js"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response.data["csrf_cookie_name"] = settings.CSRF_COOKIE_NAME
        return response
