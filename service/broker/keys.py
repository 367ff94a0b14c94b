"""The map of every key that Beagle keeps in Redis, and the names of those that Python touches itself.

Every name starts with ``beagle:1:{p}:``: 1 is the version of this layout, ``{p}`` the hash tag of the partition, so
that all keys of one partition lie in one slot of a cluster. ``<queue>`` is ``<model>:<version>``. "State" means the
time to the deadline of the longest-lived job, and a minute: those keys lapse together, when no job can be left.

==============================  ======  ==========================================  ==================  ==============
key                             type    holds                                       written by          expires
==============================  ======  ==========================================  ==================  ==============
<queue>:queue:<priority>        list    UUIDs that wait, oldest first               submit, claim,      state; empty
                                                                                    cancel, give_back,  lists vanish
                                                                                    reap
<queue>:bell                    list    at most one element: "look, a job waits"    submit, claim,      60 s
                                                                                    give_back, reap
<queue>:cost                    string  measured milliseconds a job (moving mean)   finish              1 h
job:<uuid>                      string  JSON with the base64 image, as submitted    submit              at its deadline
accepted                        hash    UUID -> "attempts bytes deadline priority   submit, reap; all   state
                                        queue reply": each job without an answer    that end a job
expiries                        zset    UUID -> its deadline, Unix milliseconds     the same            state
load                            hash    "bytes", and "jobs:<queue>": sums over      the same            state
                                        accepted
claimed:<worker>:<n>            list    UUIDs of one batch                          claim, finish,      deadline of its
                                                                                    give_back, reap     jobs and 10 s
batches:<worker>                set     the n of a worker's open batches            the same            as claimed
lease:<worker>                  string  the queues it serves, separated by spaces   announce, renew,    the lease (2 s)
                                                                                    claim
workers                         set     ids of workers that may hold a batch        announce, reap      1 day
reaper                          string  "1" while somebody has just reaped          reap                0.4 s
result:<uuid>                   string  JSON of the answer: the truth               finish, reap; the   deadline of the
                                                                                    reader deletes it   job and 5 s
reply:<web>                     list    "uuid answer": the hint, for one web        finish, reap; the   60 s
                                        process                                     reader pops it
dead                            list    "uuid queue reason", newest first, the      reap                1 day
                                        last 1000
==============================  ======  ==========================================  ==================  ==============

The queue holds UUIDs and the image lies beside it, so that it expires by itself and is not copied when a job moves.
``accepted`` and ``expiries`` always have the same members and ``load`` always their sums: every script that ends a job
changes all three, and those whose deadline passed are swept by whoever looks next (submit, state, reap).
"""

import re
from functools import lru_cache

LAYOUT_VERSION = 1
PRIORITIES = ("high", "normal", "low")

# One pattern a row of the map above; a test holds every key that the scripts leave behind against it.
PATTERNS = {
    "list": (
        r"[^:]+:[^:]+:queue:(high|normal|low)",
        r"[^:]+:[^:]+:bell",
        r"claimed:[^:]+:\d+",
        r"reply:[^:]+",
        r"dead",
    ),
    "string": (r"[^:]+:[^:]+:cost", r"job:[^:]+", r"lease:[^:]+", r"reaper", r"result:[^:]+"),
    "hash": (r"accepted", r"load"),
    "zset": (r"expiries",),
    "set": (r"batches:[^:]+", r"workers"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def prefix(tag: str) -> str:
    """Start of every key of the partition with this hash tag."""
    return f"beagle:{LAYOUT_VERSION}:{{{checked_name('partition', tag)}}}:"


@lru_cache(maxsize=1024)
def queue_name(model: str, version: str) -> str:
    """The ``<queue>`` of one version of a model; ValueError if either cannot be part of a key."""
    return f"{checked_name('model', model)}:{checked_name('version', version)}"


def split_queue_name(queue: str) -> tuple[str, str]:
    """The (model, version) that `queue_name` joined."""
    model, _, version = queue.partition(":")
    return model, version


def checked_name(what: str, name: str) -> str:
    """`name` itself where it may be part of a key; else ValueError."""
    if not _NAME.match(name):
        raise ValueError(
            f"{what} names consist of letters, digits, '.', '_' and '-' and start with a letter or digit; got {name!r}"
        )
    return name
