"""Say in one sentence what this machine lacks to build Efficient QML, or nothing if all is there.

Usage: python preflight.py [COMPILER], with the Python that is to build. It is written to run on
Python 3.6 too, so that an old one gets its sentence.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig

COMPILERS = ("c++", "g++", "clang++")


def missing(compiler: str = "") -> str:
    """Return one sentence on the first thing missing, or ``""``.

    ``compiler`` is the C++ compiler asked for; ``""`` stands for any of `COMPILERS`.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 (this is the check)
        return (
            f"Efficient QML needs Python 3.11 or newer, and {sys.executable} is "
            f"{sys.version_info[0]}.{sys.version_info[1]}: install a newer one and name it, as in "
            "make PYTHON=python3.12"
        )
    if importlib.util.find_spec("ensurepip") is None:
        return (
            f"{sys.executable} cannot make virtual environments: install its venv module "
            "(Debian, Ubuntu: apt install python3-venv)"
        )
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        return (
            f"{sys.executable} has no headers to build the C++ engine with: install them "
            "(Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel)"
        )
    if not any(map(shutil.which, (compiler,) if compiler else COMPILERS)):
        return (
            f"No C++ compiler found under the name {compiler or ' or '.join(COMPILERS)}: install "
            "GCC 11 or Clang 14 or newer (Debian, Ubuntu: apt install g++; Fedora: dnf install "
            "gcc-c++; macOS: xcode-select --install), or name one, as in make CXX=clang++"
        )
    return ""


if __name__ == "__main__":
    print(missing(*sys.argv[1:]))
