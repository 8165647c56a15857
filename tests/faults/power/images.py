"""A file system in a file over a loop device -> its bytes as they lie on the "disk" at one instant: a power cut.

With direct I/O the image holds what the kernel has written back or was made to flush, and nothing of what is still in
the page cache: that is lost, as when the power goes. The image lies on a second file system, the stand, which is frozen
while the image is copied: writes of the first wait meanwhile, so that a copy is one instant and no smear of fifty
milliseconds. Gentler than a real cut: what the kernel handed to the disk is taken as written, though no flush followed.
"""

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local import unprivileged

ROOT = unprivileged.REACHABLE_ROOT
"""PostgreSQL's user must come through to its data."""
NAME = "tapeline-power-"
MIB = 1024 * 1024
SPARE_MIB = 64
"""What the stand has beside its image, for its own tables."""
PROBE_MIB = 8
UNMOUNT_SECONDS_MAX = 10.0
"""Longest wait for the last file of a killed server to be closed."""
UNMOUNT_AGAIN_SECONDS = 0.05
COMMAND_SECONDS_MAX = 60.0
_FREEZE, _THAW = 0xC0045877, 0xC0045878
"""FIFREEZE and FITHAW of linux/fs.h."""


class NoImage(Exception):
    """The machine would not make, mount or copy an image."""


class Disk:
    """One mounted image that can lose its power."""

    def __init__(self, stand: Path, image: Path, at: Path) -> None:
        self.at = at
        """Where it is mounted."""
        self._stand = stand
        self._image = image

    def cut(self, to: Path) -> float:
        """Copy the disk as it is at one instant; returns for how long its writes had to wait, in seconds."""
        begun = time.monotonic()
        with frozen(self._stand):
            copy(self._image, to)
        return time.monotonic() - begun


@functools.cache
def missing() -> str:
    """Why this machine can make no power cut; empty when it can. Tried for real, once."""
    if os.name != "posix" or os.geteuid() != 0:
        return "mounting an image needs root"
    for program in ("losetup", "mount", "umount", "mkfs.ext4"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    try:
        with workplace() as folder, disk(folder, PROBE_MIB) as made:
            (made.at / "probe").write_text("probe")
            made.cut(folder / "copy")
            with mounted(folder / "copy", folder / "again"):
                pass
    except (NoImage, OSError) as refused:
        return f"no loop device: {str(refused).splitlines()[0][:200]}"
    return ""


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder that every user can reach, gone at the end; what a killed run left behind goes first."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-", dir=ROOT))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def disk(folder: Path, size_mib: int) -> Iterator[Disk]:
    """An empty disk of this size."""
    stand, image = folder / "stand", folder / "stand" / "image"
    # Nothing is asked of the stand itself: no journal, and no flush down to the disk of this machine.
    _make(folder / "stand.image", size_mib + SPARE_MIB, "-O", "^has_journal", "-m", "0")
    with mounted(folder / "stand.image", stand, options="nobarrier"):
        _make(image, size_mib)
        with mounted(image, folder / "disk", is_direct=True):
            yield Disk(stand, image, folder / "disk")


@contextlib.contextmanager
def mounted(image: Path, at: Path, *, is_direct: bool = False, options: str = "defaults") -> Iterator[Path]:
    """The image as a file system, its journal replayed. The device goes with the mount."""
    at.mkdir(exist_ok=True)
    flags = ["--direct-io=on"] if is_direct else []
    device = _run("losetup", "--find", "--show", *flags, str(image)).strip()
    try:
        if is_direct and Path(f"/sys/block/{Path(device).name}/loop/dio").read_text().strip() != "1":
            raise NoImage("the loop device does not write past the page cache")
        _run("mount", "-t", "ext4", "-o", options, device, str(at))
    finally:
        _run("losetup", "--detach", device)
    try:
        yield at
    finally:
        unmount(at)


@contextlib.contextmanager
def frozen(at: Path) -> Iterator[None]:
    """Nothing is written to this file system meanwhile; whoever tries waits."""
    folder = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(folder, _FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(folder, _THAW, 0)
    finally:
        os.close(folder)


def unmount(at: Path) -> None:
    """Take it away once nobody uses it. Raises NoImage."""
    until = time.monotonic() + UNMOUNT_SECONDS_MAX
    while True:
        try:
            _run("umount", str(at))
        except NoImage:
            if time.monotonic() > until:
                raise
            time.sleep(UNMOUNT_AGAIN_SECONDS)
        else:
            return


def _make(path: Path, size_mib: int, *options: str) -> None:
    with path.open("wb") as file:
        file.truncate(size_mib * MIB)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", *options, str(path))


def copy(source: Path, target: Path) -> None:
    """Byte for byte, less the holes."""
    with source.open("rb") as here, target.open("wb") as there:
        size = os.fstat(here.fileno()).st_size
        os.ftruncate(there.fileno(), size)
        at = 0
        while at < size:
            try:
                at = os.lseek(here.fileno(), at, os.SEEK_DATA)
            except OSError:  # No data up to the end.
                return
            hole = os.lseek(here.fileno(), at, os.SEEK_HOLE)
            os.lseek(there.fileno(), at, os.SEEK_SET)
            while at < hole:
                at += os.sendfile(there.fileno(), here.fileno(), at, hole - at)


def _sweep() -> None:
    """Take away what a run left that was killed; those of living processes stay."""
    for folder in ROOT.glob(f"{NAME}*"):
        owner = folder.name.removeprefix(NAME).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    """The folder with all that is still mounted below it, the last mount first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for at in reversed([Path(each) for each in mounts if each.startswith(f"{folder}/")]):
        with contextlib.suppress(OSError), _opened(at) as opened:
            fcntl.ioctl(opened, _THAW, 0)  # A run that was killed in a cut left its stand frozen.
        with contextlib.suppress(NoImage):
            _run("umount", "--lazy", str(at))
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _opened(at: Path) -> Iterator[int]:
    folder = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield folder
    finally:
        os.close(folder)


def _run(*argv: str) -> str:
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS_MAX)
    if ran.returncode:
        raise NoImage(f"`{' '.join(argv)}` failed: {ran.stderr.strip() or ran.stdout.strip()}")
    return ran.stdout
