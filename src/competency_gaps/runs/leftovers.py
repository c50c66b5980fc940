"""Files that killed writers left in a store, which only cost space."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from competency_gaps.errors import MachineError
from competency_gaps.runs.markers import MARKER_BYTES, declared, marker_name, read_content, shard_of
from competency_gaps.runs.remote import PROBE, RemoteFolder
from competency_gaps.shards import ShardFolder

log = logging.getLogger(__name__)

LEFTOVER_AGE = 24 * 3600.0
"""Age in seconds from which the files of an attempt that does not count are nobody's: a writer sends its marker as soon
as it has sent both files."""


def remove_leftovers(remote: RemoteFolder, shards: Collection[str], folders: Sequence[ShardFolder]) -> int:
    """Remove what killed writers left of finished shards, and probes.

    A file goes only if the marker of its shard names another one, and it was written more than a day ago, by the
    store's clock: a younger one may be of a writer that is about to replace the shard. What cannot be removed stays,
    with a warning.

    Parameters
    ----------
    shards
        Names of the run's shards; files of others are not looked at.

    Returns
    -------
    int
        Number of files that were removed.
    """
    removed = 0
    try:
        places = [f"{PROBE}/{name}" for name in remote.names(PROBE)]
        for number in range(len(folders)):
            places += _not_counting(remote, shards, folders, number)
        for place in remote.older(places, LEFTOVER_AGE):
            remote.remove(place)
            removed += 1
    except MachineError as error:
        log.warning("files that killed writers left in %s stay there: %s", remote.address, error)
    return removed


def _not_counting(
    remote: RemoteFolder, shards: Collection[str], folders: Sequence[ShardFolder], number: int
) -> Iterator[str]:
    """Files in a folder that are of attempts at finished shards, but not of those that count."""
    folder = folders[number]
    attempts: dict[str, list[str]] = defaultdict(list)
    for file in remote.names(folder.folder.name):
        shard = shard_of(file, folder.suffix)
        if shard is not None and shard in shards:
            attempts[shard].append(file)
    for shard, files in attempts.items():
        if len(files) == 1:  # it counts, or its shard is not finished
            continue
        raw = remote.read(marker_name(shard), MARKER_BYTES)
        if raw is None:
            continue
        try:
            counts = declared(read_content(raw, MARKER_BYTES), shard, folders)[number].name
        except ValueError:  # whoever takes the shard says so, and makes it again
            continue
        if counts in files:
            yield from (f"{folder.folder.name}/{file}" for file in files if file != counts)
