"""Sites, visits and sequences of a source: found by name, made where they are new, never overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import available_timezones

from webapp.datasets.formats.records import Head, ImageRecord, SiteRecord, VisitRecord
from webapp.datasets.notices import Notices
from webapp.images.models import Sequence
from webapp.images.times import clock_zone, in_utc
from webapp.projects.models import Project, Site, Visit
from webapp.projects.names import fold

NAME_LENGTH = 200


@dataclass(frozen=True)
class Place:
    """Where and when an image of a source was taken, as rows and values."""

    site_id: int | None = None
    visit_id: int | None = None
    sequence_id: int | None = None
    captured_at: str = ""
    utc_offset_minutes: int | None = None
    captured_at_utc: datetime | None = None

    @property
    def says_something(self) -> bool:
        return self != Place()


class Places:
    """One reading of a project's sites and visits for many records."""

    def __init__(self, project: Project, head: Head, notices: Notices) -> None:
        self.project = project
        self.notices = notices
        self._sites = {fold(site.name): site for site in project.sites.order_by("-pk")}
        visits = project.visits.select_related("site").order_by("-pk")
        self._visits = {(fold(visit.name), visit.site_id): visit for visit in visits}
        self._home = {_clean(visit.name): _clean(visit.site) for visit in head.visits}
        for site in head.sites:
            self._site(site)
        for visit in head.visits:
            self._visit(visit)

    def of(self, records: Iterable[ImageRecord]) -> dict[str, Place]:
        """By path of the record; what is missing is made."""
        rows = list(records)
        places = {record.path: self._place(record) for record in rows}
        sequences = self._sequences({_clean(one.sequence): places[one.path] for one in rows if one.sequence.strip()})
        return {
            record.path: replace(places[record.path], sequence_id=sequences.get(_clean(record.sequence)))
            for record in rows
        }

    def _place(self, record: ImageRecord) -> Place:
        visit_name = _clean(record.visit)
        site_name = _clean(record.site) or self._home.get(visit_name, "")
        site = self._site(SiteRecord(site_name)) if site_name else None
        visit = self._visit(VisitRecord(visit_name, site_name)) if visit_name else None
        when = self._when(record, site, visit)
        return Place(site.pk if site else None, visit.pk if visit else None, None, *when)

    def _when(
        self, record: ImageRecord, site: Site | None, visit: Visit | None
    ) -> tuple[str, int | None, datetime | None]:
        if not record.captured_at:
            return "", None, None
        try:
            moment = datetime.fromisoformat(record.captured_at)
        except ValueError:
            self.notices.count("time", record.captured_at)
            return "", None, None
        offset = moment.utcoffset()
        minutes = round(offset.total_seconds() / 60) if offset is not None else None
        naive = moment.replace(tzinfo=None)
        zone = clock_zone(visit, site, self.project)
        seconds = visit.clock_offset_seconds if visit else 0
        known = in_utc(naive, utc_offset_minutes=minutes, zone=zone, clock_offset_seconds=seconds)
        return naive.isoformat()[:32], minutes, known

    def _site(self, record: SiteRecord) -> Site:
        name = _clean(record.name)
        site = self._sites.get(fold(name))
        values = self._site_values(record)
        if site is None:
            site = self._sites[fold(name)] = Site.objects.get_or_create(
                project=self.project, name=name, defaults=values
            )[0]
        elif values.get("latitude") is not None:
            self._complete(site, values)
        return site

    def _complete(self, site: Site, values: Mapping[str, object]) -> None:
        """Coordinates for a site that has none; where it has others, those of the project stand."""
        if site.latitude is None and site.longitude is None:
            for name in ("latitude", "longitude", "coordinate_uncertainty_m"):
                setattr(site, name, values.get(name))
            site.save(update_fields=["latitude", "longitude", "coordinate_uncertainty_m"])
        elif (site.latitude, site.longitude) != (values["latitude"], values["longitude"]):
            self.notices.count("clash", site.name)

    def _site_values(self, record: SiteRecord) -> dict[str, object]:
        latitude, longitude = record.latitude, record.longitude
        if latitude is not None or longitude is not None:
            on_earth = latitude is not None and longitude is not None and abs(latitude) <= 90 and abs(longitude) <= 180
            if not on_earth:
                self.notices.count("place", f"{record.name}: {latitude}, {longitude}")
                latitude = longitude = None
        zone = record.time_zone
        if zone and zone not in available_timezones():
            self.notices.count("place", f"{record.name}: {zone}")
            zone = ""
        unsure = record.coordinate_uncertainty_m
        return {
            "latitude": latitude,
            "longitude": longitude,
            "coordinate_uncertainty_m": unsure if unsure is not None and 0 <= unsure < 2**31 else None,
            "time_zone": zone,
            "notes": record.notes,
        }

    def _visit(self, record: VisitRecord) -> Visit:
        name = _clean(record.name)
        site = self._site(SiteRecord(record.site)) if _clean(record.site) else None
        key = (fold(name), site.pk if site else None)
        visit = self._visits.get(key)
        if visit is None:
            ends_well = record.end is None or record.start is None or record.end >= record.start
            visit = self._visits[key] = Visit.objects.create(
                project=self.project,
                site=site,
                name=name,
                start=record.start,
                end=record.end if ends_well else None,
                device=record.device[:200],
                effort=record.effort,
                effort_unit=record.effort_unit[:32],
                notes=record.notes,
            )
        return visit

    def _sequences(self, wanted: Mapping[str, Place]) -> dict[str, int]:
        """Bursts as the source groups them; they keep its names."""
        if not wanted:
            return {}
        known = dict(
            Sequence.objects.filter(project=self.project, name__in=wanted).order_by("-pk").values_list("name", "pk")
        )
        new = [
            Sequence(project=self.project, name=name, site_id=place.site_id, visit_id=place.visit_id)
            for name, place in wanted.items()
            if name not in known
        ]
        Sequence.objects.bulk_create(new, batch_size=500)
        return known | {one.name: one.pk for one in new}


def _clean(name: str) -> str:
    return " ".join(name.split())[:NAME_LENGTH]
