"""What the views of the REST interface share."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView

from webapp.access.actors import Actor

M = TypeVar("M", bound=Model)


class View(APIView):
    """A view whose caller is known: `self.actor`."""

    @property
    def actor(self) -> Actor:
        return cast(Actor, self.request.auth)


class PublicView(APIView):
    """A view for anybody."""

    authentication_classes = ()
    throttle_classes = ()


def read_body(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The JSON body as values that fit, or a problem that names each one that does not, unknown ones among them."""
    if isinstance(request.data, dict) and not isinstance(request.data, QueryDict):
        known = shape().fields
        unknown = [name for name in request.data if name not in known]
        if unknown:
            said = f"There is no such field here. There are: {', '.join(known)}."
            raise ValidationError({name: [said] for name in unknown})
    return _read(shape, request.data)


def read_query(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    return _read(shape, request.query_params)


def _read(shape: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    parsed = shape(data=data)
    parsed.is_valid(raise_exception=True)
    return cast("dict[str, Any]", parsed.validated_data)


def shown(shape: type[BaseSerializer[Any]], row: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", shape(row).data)


def address(request: HttpRequest | Request, route: str, *args: object) -> str:
    """The full address of a route, so that it can be pasted after curl."""
    return request.build_absolute_uri(reverse(route, args=args))
