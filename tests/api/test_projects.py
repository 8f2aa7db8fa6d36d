"""Projects, labels, places, people, tokens, versions: each call with the role it needs and one below it."""

from __future__ import annotations

from tests.api.client import GUEST, Client, with_token
from tests.api.conftest import Cast
from webapp.access.models import ApiToken, Membership
from webapp.projects.models import Project

SAVANNA = "/api/v1/projects/savanna"


def test_a_person_sees_own_projects_only(cast: Cast) -> None:
    def slugs(client: Client) -> list[str]:
        return [row["slug"] for row in client.get("/api/v1/projects").json()["results"]]

    assert slugs(cast.token("vera")) == ["savanna"]
    assert slugs(cast.token("olga")) == ["reef"]
    assert slugs(cast.token("gus")) == ["reef", "savanna"]
    assert cast.token("olga").get(SAVANNA).status == 404


def test_a_project_is_made_and_changed_by_those_who_may(cast: Cast) -> None:
    new = {"name": "Deck of the Albatros", "pictures": "deck", "labels": ["Tuna"]}
    assert cast.token("alice").post("/api/v1/projects", new).status == 403
    made = cast.token("gus").post("/api/v1/projects", new)
    assert (made.status, made.json()["slug"]) == (201, "deck-of-the-albatros")
    assert made.headers["location"].endswith("/api/v1/projects/deck-of-the-albatros")
    assert cast.token("tess").call("PATCH", SAVANNA, {"notice": "x"}).status == 403
    changed = cast.token("alice").call("PATCH", SAVANNA, {"notice": "Ask Cora.", "coordinates_decimals": 2})
    assert (changed.json()["notice"], changed.json()["coordinates_decimals"]) == ("Ask Cora.", 2)
    assert cast.token("alice").call("PATCH", SAVANNA, {"time_zone": "Mars/Olympus"}).status == 422


def test_labels_are_found_added_and_renamed(cast: Cast) -> None:
    cora = cast.token("cora")
    made = cora.post(f"{SAVANNA}/labels", {"name": "Plains zebra", "parent": "Zebra", "synonyms": ["quagga"]})
    assert (made.status, made.json()["key"], made.json()["parent"]) == (201, "plains-zebra", "zebra")
    found = cast.token("vera").get(f"{SAVANNA}/labels?search=QUAGGA").json()["results"]
    assert [label["key"] for label in found] == ["plains-zebra"]
    renamed = cora.call("PATCH", f"{SAVANNA}/labels/plains-zebra", {"name": "Burchell's zebra"})
    assert (renamed.json()["key"], renamed.json()["name"]) == ("plains-zebra", "Burchell's zebra")
    assert cora.post(f"{SAVANNA}/labels", {"name": "zebra"}).code == "label-exists"
    assert cast.token("ravi").post(f"{SAVANNA}/labels", {"name": "Ibis"}).status == 403
    assert cast.token("ravi").call("PATCH", f"{SAVANNA}/labels/lion", {"name": "Cat"}).status == 403


def test_sites_and_visits_are_a_curators(cast: Cast) -> None:
    cora = cast.token("cora")
    site = cora.post(f"{SAVANNA}/sites", {"name": "Waterhole", "latitude": -2.5, "longitude": 34.5})
    assert site.status == 201, site.body
    visit = cora.post(f"{SAVANNA}/visits", {"name": "May", "site": site.json()["id"], "start": "2026-05-01T06:00:00Z"})
    assert (visit.status, visit.json()["site"]) == (201, site.json()["id"])
    listed = cast.token("vera").get(f"{SAVANNA}/visits").json()["results"]
    assert [row["name"] for row in listed] == ["May"]
    assert cora.post(f"{SAVANNA}/sites", {"name": "North", "latitude": 123, "longitude": 0}).code == "invalid-fields"
    assert cora.post(f"{SAVANNA}/sites", {"name": "Nan", "latitude": "nan", "longitude": 0}).code == "invalid-fields"
    assert cast.token("ravi").post(f"{SAVANNA}/sites", {"name": "Hill"}).status == 403
    assert cast.token("ravi").post(f"{SAVANNA}/visits", {"name": "June"}).status == 403


def test_an_admin_says_who_belongs(cast: Cast) -> None:
    alice = cast.token("alice")
    assert alice.call("PUT", f"{SAVANNA}/people/olga", {"role": "viewer"}).json()["role"] == "viewer"
    names = [row["username"] for row in alice.get(f"{SAVANNA}/people").json()["results"]]
    assert names == ["alice", "cora", "olga", "ravi", "tess", "vera"]
    assert cast.token("cora").get(f"{SAVANNA}/people").status == 403
    assert cast.token("alice", "train").get(f"{SAVANNA}/people").status == 403
    assert alice.call("DELETE", f"{SAVANNA}/people/olga").status == 204
    assert not Membership.objects.filter(user__username="olga", project=cast.project).exists()
    assert alice.call("DELETE", f"{SAVANNA}/people/alice").code == "last-admin"
    assert alice.call("PUT", f"{SAVANNA}/people/nobody", {"role": "viewer"}).status == 404
    assert cast.token("tess").call("PUT", f"{SAVANNA}/people/tess", {"role": "admin"}).status == 403
    assert cast.token("alice", "train").call("PUT", f"{SAVANNA}/people/olga", {"role": "viewer"}).status == 403


def test_a_token_is_shown_once_works_and_is_revoked(cast: Cast) -> None:
    ravi = cast.session("ravi")
    made = ravi.post("/api/v1/tokens", {"name": "gateway", "scopes": ["upload"], "project": "savanna"})
    assert made.status == 201, made.body
    secret = made.json()["secret"]
    gateway = with_token(secret)
    assert gateway.get("/api/v1/me").json()["username"] == "ravi"
    assert gateway.post("/api/v1/tokens", {"name": "more", "scopes": ["admin"]}).status == 403
    listed = ravi.get("/api/v1/tokens")
    assert secret not in listed.body.decode()
    assert [row["name"] for row in listed.json()["results"]] == ["gateway"]
    assert cast.session("vera").call("DELETE", f"/api/v1/tokens/{made.json()['id']}").status == 404
    assert ravi.call("DELETE", f"/api/v1/tokens/{made.json()['id']}").status == 204
    gone = gateway.get("/api/v1/me")
    assert (gone.status, gone.code) == (401, "not-signed-in")
    assert "revoked" in gone.json()["detail"]
    assert ravi.post("/api/v1/tokens", {"name": "x", "scopes": ["root"]}).code == "invalid-fields"
    assert ApiToken.objects.exclude(revoked_at=None).count() == 1


def test_a_guest_has_no_tokens_and_sees_no_people(open_mode: Cast) -> None:
    assert GUEST.get("/api/v1/me").json() == {"username": None, "via": "open mode", "scopes": [], "roles": {}}
    assert GUEST.get(SAVANNA).status == 200
    assert GUEST.get("/api/v1/projects/reef").status == 404
    assert GUEST.get("/api/v1/tokens").status in (401, 403)
    refused = [GUEST.get(f"{SAVANNA}/people"), GUEST.post("/api/v1/tokens", {"name": "x", "scopes": ["read"]})]
    refused.append(GUEST.call("DELETE", "/api/v1/tokens/1"))
    assert [(reply.status, reply.code) for reply in refused] == [(401, "not-signed-in")] * 3
    assert GUEST.post("/api/v1/projects", {"name": "Mine"}).status in (401, 403)


def test_pipelines_are_made_activated_and_rolled_back_by_admins(cast: Cast) -> None:
    alice = cast.token("alice")
    (version,) = cast.token("vera").get(f"{SAVANNA}/versions").json()["results"]
    detail = cast.token("vera").get(f"/api/v1/versions/{version['id']}").json()
    assert len(detail["card"]["labels"]) == 3
    assert cast.token("olga").get(f"/api/v1/versions/{version['id']}").status == 404
    parts = {"classifier": version["id"], "crop_margin": 0.2}
    made = alice.post(f"{SAVANNA}/pipelines", parts)
    assert made.status == 201, made.body
    assert alice.post(f"{SAVANNA}/pipelines", parts).json()["id"] == made.json()["id"]
    assert cast.token("tess").post(f"{SAVANNA}/pipelines", parts).status == 403
    assert len(alice.get(f"{SAVANNA}/pipelines").json()["results"]) == 2
    assert alice.post(f"{SAVANNA}/activations", {"pipeline": "ffff"}).status == 404
    assert cast.token("tess").post(f"{SAVANNA}/activations", {"pipeline": made.json()["id"]}).status == 403
    assert cast.token("tess").post(f"{SAVANNA}/activations/roll-back", {}).status == 403
    trail = cast.token("vera").get(f"{SAVANNA}/activations").json()["results"]
    assert [row["pipeline"] for row in trail] == [cast.pipeline.digest]


def test_the_names_of_hidden_projects_do_not_leak(cast: Cast) -> None:
    Project.objects.create(slug="secret-nests", name="Secret nests")
    reply = cast.token("vera").get("/api/v1/projects/secret-nest")
    assert b"secret-nests" not in reply.body
