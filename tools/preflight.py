"""Says in one sentence each why this machine can't hold the environment; exit code 1 then.

Runs before anything is installed, on any Python from 3.6 on, so that an old one is told so clearly. The
options replace what was found, to see what would be said elsewhere. It knows nothing of GPUs and
packages: once the environment stands, `tfrec doctor` says more.
"""

import argparse
import os
import platform
import shutil
import sys

GB = 10**9
MEMORY_GB = 7
DISK_GB = 8


def main(arguments=None):
    """Exit code 0 when all will do."""
    machine = parse(arguments)
    blockers = find_blockers(machine)
    for sentence in blockers:
        print("make: " + sentence, file=sys.stderr)
    return 1 if blockers else 0


def parse(arguments):
    """What this machine has, or what the options say that it has."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--python", default=platform.python_version())
    parser.add_argument("--system", default=platform.system() + " " + platform.machine())
    parser.add_argument("--pip", choices=["yes", "no"], default="yes" if has_pip() else "no")
    parser.add_argument("--memory-gb", type=float, default=memory_gb())
    parser.add_argument("--disk-gb", type=float, default=shutil.disk_usage(".").free / GB)
    parser.add_argument("--environment", default=".venv", help="once it exists, disk is no longer asked for")
    return parser.parse_args(arguments)


def find_blockers(machine):
    """The sentences, none when all will do."""
    found = []
    if machine.system != "Linux x86_64":
        found.append(
            f"This is {machine.system}, but TFX has wheels for Linux x86_64 only; use such a machine, or a "
            "container on it."
        )
    if machine.python.split(".")[:2] != ["3", "11"]:
        found.append(
            f"The Python found here is {machine.python} ({sys.executable}), but TFX 1.21 and its parts "
            "meet on Python 3.11 alone; install it (Debian 12: apt-get install python3.11 python3-pip) or "
            "name one by `make PYTHON=/path/to/python3.11 ...`."
        )
    elif machine.pip == "no":
        found.append(
            f"{sys.executable} has no pip, which fetches uv; install it "
            "(Debian 12: apt-get install python3-pip; elsewhere: python3.11 -m ensurepip)."
        )
    if machine.memory_gb < MEMORY_GB:
        found.append(
            f"This machine has {machine.memory_gb:.1f} GB of memory, but the pipeline needs {MEMORY_GB} GB; "
            "use a larger machine, or give the container more."
        )
    if machine.disk_gb < DISK_GB and not os.path.isdir(machine.environment):
        found.append(
            f"{machine.disk_gb:.1f} GB of disk are free at {os.getcwd()}, but the environment and the demo "
            f"need {DISK_GB} GB; free some, or clone onto a larger disk."
        )
    return found


def has_pip():
    """Whether `python -m pip` will start."""
    try:
        import pip  # noqa: F401
    except ImportError:
        return False
    return True


def memory_gb():
    """Memory of the machine or of its container, whichever is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            with open(path) as file:
                text = file.read().strip()
            limits += [int(text)] if text.isdigit() else []
    return min(limits) / GB


if __name__ == "__main__":
    sys.exit(main())
