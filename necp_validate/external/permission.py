"""What may be done to a cluster of somebody else's: nothing that leaves a mark, unless a clear word allows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from necp_validate.core import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.external.cluster import ClusterFacts
from necp_validate.stack.external_topics import TopicTarget

WRITE: Final = "write"
CREATE: Final = "create-topics"
FAULTS: Final = "faults"
WORDS: Final[Mapping[str, str]] = {
    WRITE: "write to topics that have been written to before",
    CREATE: "create topics that do not exist",
    FAULTS: "break parts of the target",
}


def allowed(words: Iterable[str]) -> frozenset[str]:
    """Check the words of ``--allow``.

    Raises:
        UsageError: one is not known.
    """
    found = frozenset(words)
    for word in sorted(found - WORDS.keys()):
        guess = did_you_mean(word, WORDS)
        known = ", ".join(f"{name} ({what})" for name, what in WORDS.items())
        raise UsageError(f"--allow {word}: not known", hint=f"did you mean {guess}?" if guess else f"known: {known}")
    return found


def require_write(records: Mapping[str, int], allow: Collection[str]) -> None:
    """Do nothing if no topic has ever been written to, or may be written to all the same.

    Args:
        records: by topic, how many were written to it so far; a topic whose records have expired is in use, too.
        allow: the words that were given.

    Raises:
        UsageError: says which topics, and what to add.
    """
    full = [f"{name} ({count:,} records)" for name, count in sorted(records.items()) if count]
    if full and WRITE not in allow:
        raise UsageError(
            f"in use already: {', '.join(full)}; nothing was written",
            hint="if the load may be written there, add: --allow write",
        )


def require_faults(allow: Collection[str]) -> None:
    """Do nothing if parts of the target may be broken.

    Raises:
        UsageError: they may not.
    """
    if FAULTS not in allow:
        raise UsageError("the scenario breaks parts of the target; nothing was done", hint="add: --allow faults")


def require_topics(
    cluster: ClusterFacts, topics: Mapping[str, TopicTarget], allow: Collection[str]
) -> tuple[TopicTarget, ...]:
    """Check every topic that is to be loaded.

    Returns:
        Those that are to be created first.

    Raises:
        UsageError: one is missing or in use, and that it is created or written to is not allowed; what is lost in it
            could not be told from what the cluster may remove; or its output is missing.
    """
    missing = tuple(topic for name, topic in topics.items() if name not in cluster.topics)
    if missing and CREATE not in allow:
        names = ", ".join(topic.name for topic in missing)
        raise UsageError(
            f"the target has no topic {names}; nothing was created",
            hint="create it yourself, or let it be done: --allow create-topics",
        )
    require_write({name: cluster.topics[name].written for name in topics if name in cluster.topics}, allow)
    for name, topic in topics.items():
        if name in cluster.topics and cluster.topics[name].compacted and topic.key != "unique":
            raise UsageError(
                f"topic {name} is compacted (cleanup.policy={cluster.topics[name].settings['cleanup.policy']}): "
                "an event that was lost could not be told from one that was compacted away",
                hint='give every event a key of its own: key = "unique" in its [[topics]] table',
            )
        if topic.output is not None and topic.output not in cluster.topics:
            raise UsageError(
                f"the target has no topic {topic.output}, in which it should answer to {name}",
                hint="create it, or leave output out of the [[topics]] table",
            )
    return missing
