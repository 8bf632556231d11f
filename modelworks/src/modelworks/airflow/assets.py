"""The assets by which one DAG of a project starts the next."""

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk import Asset

from modelworks.settings import Settings

if TYPE_CHECKING:
    from modelworks.stages.facts import Deployed, Ingested, Monitored, Scored, Validated

    FactsOfPeriod = Deployed | Ingested | Monitored | Scored | Validated


class Assets(NamedTuple):
    """A project's assets; the partition of each event is a period."""

    raw: Asset
    clean: Asset
    model: Asset
    retrain: Asset
    scores: Asset


def project_assets(settings: Settings) -> Assets:
    """The assets of a project, named by its name."""
    return Assets(*(Asset(f"{settings.prefix}_{name}", f"x-{settings.name}://{name}") for name in Assets._fields))


def emit(outlet_events: Any, asset: Asset, facts: "FactsOfPeriod") -> dict[str, Any]:
    """Attach the facts of a stage to an asset's event, with their period as its partition; returns their JSON form.

    Airflow starts a partitioned consumer only by events with a partition, and a run started by the form has none. With
    the period on every event, consumers start after each run.
    """
    event, content = outlet_events[asset], facts.to_json()
    event.extra = content
    event.add_partitions(facts.period)
    return content
