"""Check that this machine can hold the environment; prints each obstacle and exits with code 1.

It runs before the installation, on any Python from 3.6, so that an old Python gets a clear message.
The options replace the machine's values, for tests. After the installation, `tfrec doctor` checks
GPUs and packages.
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
    """Return exit code 0 if the machine meets all requirements."""
    machine = parse(arguments)
    blockers = find_blockers(machine)
    for sentence in blockers:
        print("make: " + sentence, file=sys.stderr)
    return 1 if blockers else 0


def parse(arguments):
    """Parse the options; their defaults are the values of this machine."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--python", default=platform.python_version())
    parser.add_argument("--system", default=platform.system() + " " + platform.machine())
    parser.add_argument("--pip", choices=["yes", "no"], default="yes" if has_pip() else "no")
    parser.add_argument("--memory-gb", type=float, default=memory_gb())
    parser.add_argument("--disk-gb", type=float, default=shutil.disk_usage(".").free / GB)
    parser.add_argument("--environment", default=".venv", help="if it exists, disk space is not checked")
    return parser.parse_args(arguments)


def find_blockers(machine):
    """List a sentence for each requirement that the machine does not meet."""
    blockers = []
    if machine.system != "Linux x86_64":
        blockers.append(
            f"This is {machine.system}, but TFX has wheels for Linux x86_64 only; use such a machine or container."
        )
    if machine.python.split(".")[:2] != ["3", "11"]:
        blockers.append(
            f"Python here is {machine.python} ({sys.executable}), but TFX 1.21 and its dependencies "
            "support only Python 3.11 together; install it (Debian 12: apt-get install python3.11 python3-pip) or "
            "set its path: `make PYTHON=/path/to/python3.11 ...`."
        )
    elif machine.pip == "no":
        blockers.append(
            f"{sys.executable} has no pip, which installs uv; install pip "
            "(Debian 12: apt-get install python3-pip; elsewhere: python3.11 -m ensurepip)."
        )
    if machine.memory_gb < MEMORY_GB:
        blockers.append(
            f"This machine has {machine.memory_gb:.1f} GB of memory, but the pipeline needs {MEMORY_GB} GB; "
            "use a larger machine or raise the container's limit."
        )
    if machine.disk_gb < DISK_GB and not os.path.isdir(machine.environment):
        blockers.append(
            f"{machine.disk_gb:.1f} GB of disk are free at {os.getcwd()}, but the environment and the demo "
            f"need {DISK_GB} GB; free disk space, or clone to a larger disk."
        )
    return blockers


def has_pip():
    """Return True if `python -m pip` can start."""
    try:
        import pip  # noqa: F401
    except ImportError:
        return False
    return True


def memory_gb():
    """Memory of the machine or its container, whichever is less, in GB."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if os.path.exists(path):
            with open(path) as file:
                text = file.read().strip()
            limits += [int(text)] if text.isdigit() else []
    return min(limits) / GB


if __name__ == "__main__":
    sys.exit(main())
