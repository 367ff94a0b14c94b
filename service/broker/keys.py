"""The map of every key that Beagle keeps in Redis, and the names of those that Python touches itself.

Every name starts with ``beagle:2:{p}:``: 2 is the version of this layout, ``{p}`` the hash tag of the partition, so
that all keys of one partition lie in one slot of a cluster. ``<queue>`` is ``<model>:<version>``. "A day" is prolonged
while there are workers or somebody asks for the state; no job lives for longer than an hour.

==========================  ======  ==============================================  ====================  =============
key                         type    holds                                           written by            expires
==========================  ======  ==============================================  ====================  =============
job:<uuid>                  string  JSON with the base64 image, as submitted        submit; all that      at its
                                                                                    end a job delete it   deadline
<queue>:queue:<priority>    list    entries of jobs that wait, oldest first:        submit, claim,        a day; empty
                                    "uuid deadline bytes attempts reply", the       finish, cancel,       lists vanish
                                    deadline in Unix milliseconds of the server,    give_back, reap,
                                    <web> as reply                                  tidying
<queue>:idle                set     ids of workers that may wait for a job;         claim, finish;        a day
                                    hints, which may be stale                       submit, give_back,
                                                                                    reap, announce
claimed:<worker>            hash    UUID -> "number position priority queue         submit, claim,        a day
                                    entry" of each job it holds; '' -> "number of   finish, give_back,
                                    its last batch, number that it waits for or     announce, reap
                                    0"; "serves" -> its queues
mail:<worker>               list    what was handed to it while it waited: "number  submit; give_back,    60 s
                                    queue uuid milliseconds", a line break and the  reap; the worker
                                    payload where that is small; '': "look again"   pops it
lease:<worker>              string  the queues it serves, separated by spaces       announce, renew,      the lease
                                                                                    claim, finish         (2 s)
workers                     set     ids of workers that may hold jobs               announce, reap        a day
load                        hash    sums over all entries, "jobs", "bytes",         submit, finish, all   a day
                                    "jobs:<queue>"; moving means of milliseconds,   that end a job;
                                    "cost:<queue>" a job, "batch:<queue>" a batch   tidying
result:<uuid>               string  JSON of the answer: the truth                   finish, reap; the     deadline of
                                                                                    reader deletes it     the job and
                                                                                                          5 s
reply:<web>                 list    "uuid answer": the hint, for one web process    finish, reap; the     60 s
                                                                                    reader pops it
dead                        list    "uuid queue reason", newest first, the last     reap                  a day
                                    1000
reaper                      string  "1" while somebody has just reaped              reap                  0.4 s
tidier                      string  "1" while somebody has just tidied              state, submit, reap   0.25 s
==========================  ======  ==============================================  ====================  =============

An entry is short and the image lies beside it, so that it expires by itself and is not copied when a job moves. A job
counts in ``load`` while it has an entry, in a list or a claimed hash: from submit until finish, cancel (where it
waits), reap, or a claim or give_back that finds its image gone. Tidying takes entries out whose deadline passed, and
corrects ``load`` by what is there.
"""

import re
from functools import lru_cache

LAYOUT_VERSION = 2
PRIORITIES = ("high", "normal", "low")

# One pattern a row of the map above; a test holds every key that the scripts leave behind against it.
PATTERNS = {
    "list": (r"[^:]+:[^:]+:queue:(high|normal|low)", r"mail:[^:]+", r"reply:[^:]+", r"dead"),
    "string": (r"job:[^:]+", r"lease:[^:]+", r"result:[^:]+", r"reaper", r"tidier"),
    "hash": (r"claimed:[^:]+", r"load"),
    "set": (r"[^:]+:[^:]+:idle", r"workers"),
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def prefix(tag: str) -> str:
    """Start of every key of the partition with this hash tag."""
    return f"beagle:{LAYOUT_VERSION}:{{{checked_name('partition', tag)}}}:"


@lru_cache(maxsize=1024)
def queue_name(model: str, version: str) -> str:
    """The ``<queue>`` of one version of a model; ValueError if either cannot be part of a key."""
    return f"{checked_name('model', model)}:{checked_name('version', version)}"


@lru_cache(maxsize=1024)
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
