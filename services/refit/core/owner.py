"""Who runs a pipeline on a store: two clusters, or a cluster and a laptop, that share a bucket must not both do so."""

from datetime import datetime

from refit.core.domain import OwnerRef
from refit.core.errors import ConfigError
from refit.core.refs import move_ref, new_token, read_ref
from refit.core.store import Conflict, ObjectStore


class OtherOwner(ConfigError):
    """The pipeline belongs to another REFIT_OWNER on this store."""

    def __init__(self, found: OwnerRef, asked: str, url: str) -> None:
        super().__init__(
            f"the pipeline in {url} is run by {found.owner!r} since {found.since:%Y-%m-%d %H:%M} UTC, and this is "
            f"{asked!r} (REFIT_OWNER)",
            next="run it there, name another store, or take it over for good: refit run FILE --adopt",
        )


def refuse_other(store: ObjectStore, owner: str) -> None:
    """Raises OtherOwner where the pipeline is another's; nobody is named here."""
    found = read_ref(store, "owner", OwnerRef)
    if found and found[0].owner != owner:
        raise OtherOwner(found[0], owner, store.url)


def claim(store: ObjectStore, owner: str, *, adopt: bool, who: str, now: datetime) -> None:
    """refs/owner.json names `owner`: it did, or nobody was named, or it is taken over.

    Args:
        store: The pipeline's store.
        adopt: Take the pipeline over from another owner.

    Raises:
        OtherOwner: another one is named, and `adopt` is false.
    """
    while True:
        found = read_ref(store, "owner", OwnerRef)
        if found and found[0].owner == owner:
            return
        if found and not adopt:
            raise OtherOwner(found[0], owner, store.url)
        generation = found[0].generation + 1 if found else 1
        ref = OwnerRef(token=new_token(), generation=generation, owner=owner, since=now, who=who)
        try:
            move_ref(store, "owner", ref, found[1] if found else None)
        except Conflict:
            continue  # another first run at this moment: whose it is now decides
