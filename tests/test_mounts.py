"""Which file system a directory lies on: from recorded tables of mounts, and from real mounts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from skills_refresh.watching.mounts import KEPT_S, Mount, MountTable, is_polled, parse_mountinfo

from .conftest import in_private_mounts

DOCKER_DESKTOP = r"""
1005 884 0:165 / / rw,relatime master:362 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/d/diff,workdir=/d/work
1006 1005 0:168 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1007 1005 0:169 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
1012 1005 0:50 /host_mark/Users/ada/skills /skills rw,nosuid,nodev,relatime - fakeowner /run/host_mark/Users rw
1013 1005 0:41 /Users/ada/more /more rw,nosuid,nodev,relatime - virtiofs virtiofs0 rw
1014 1005 0:49 /Users/ada/old /old rw,nosuid,nodev,relatime - fuse.grpcfuse grpcfuse rw,user_id=0,group_id=0
1015 1005 254:1 /docker/volumes/cache/_data /cache rw,relatime master:29 - ext4 /dev/vda1 rw,discard
"""

WSL_2 = r"""
64 72 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard,errors=remount-ro,data=ordered
76 64 0:57 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000;gid=1000,mmap,access=client
77 64 0:63 / /mnt/z rw,noatime - drvfs Z: rw,case=off
"""

KUBERNETES_POD = r"""
2391 2104 0:291 / / rw,relatime - overlay overlay rw,lowerdir=/s/1/fs,upperdir=/s/2/fs,workdir=/s/2/work
2392 2391 0:293 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
2399 2391 259:1 /var/lib/kubelet/pods/1/etc-hosts /etc/hosts rw,noatime - ext4 /dev/nvme0n1p1 rw
2400 2391 259:1 /var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/w /work rw,noatime - ext4 /dev/nvme0n1p1 rw
2401 2391 0:280 / /run/secrets/token ro,relatime - tmpfs tmpfs rw,size=3930308k
"""

NFS_WITH_SPACES = r"""
30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
97 30 0:53 / /net/team\040share\011tab\134slash rw,relatime shared:52 master:3 propagate_from:2 - nfs4 nas:/team rw
98 30 0:54 / /net/old rw,relatime shared:53 unbindable - nfs nas:/old rw,vers=3
"""

LAPTOP = r"""
25 1 0:22 /@ / rw,relatime shared:1 - btrfs /dev/nvme0n1p2 rw,compress=zstd:1,ssd,subvolid=256,subvol=/@
29 25 0:22 /@home /home rw,relatime shared:2 - btrfs /dev/nvme0n1p2 rw,compress=zstd:1,ssd,subvolid=257,subvol=/@home
33 25 259:3 / /srv rw,relatime shared:3 - ext4 /dev/nvme0n1p3 rw
"""

CHROOT = r"""
44 31 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw
45 31 0:61 / /skills rw,relatime - cifs //nas/skills rw,vers=3.1.1
"""


def types(text: str) -> dict[str, str]:
    """The file systems in `text`, each by where it is mounted."""
    return {mount.point: mount.file_system for mount in parse_mountinfo(text).values()}


def polled_points(text: str) -> set[str]:
    return {point for point, file_system in types(text).items() if is_polled(file_system)}


def test_in_docker_desktop_all_that_the_host_shares_is_polled_and_a_volume_is_not() -> None:
    assert polled_points(DOCKER_DESKTOP) == {"/", "/skills", "/more", "/old"}
    assert types(DOCKER_DESKTOP)["/old"] == "fuse.grpcfuse"
    assert types(DOCKER_DESKTOP)["/cache"] == "ext4"


def test_in_wsl_the_drives_of_windows_are_polled_and_its_own_disk_is_not() -> None:
    assert polled_points(WSL_2) == {"/mnt/c", "/mnt/z"}
    assert types(WSL_2)["/"] == "ext4"


def test_in_a_pod_the_image_is_polled_and_its_volumes_are_not() -> None:
    assert polled_points(KUBERNETES_POD) == {"/"}
    assert parse_mountinfo(KUBERNETES_POD)[os.makedev(259, 1)] == Mount("/etc/hosts", "ext4")
    assert parse_mountinfo(KUBERNETES_POD)[os.makedev(0, 280)] == Mount("/run/secrets/token", "tmpfs")


def test_a_mount_point_with_spaces_and_any_number_of_optional_fields_is_read() -> None:
    assert types(NFS_WITH_SPACES) == {"/": "ext4", "/net/team share\ttab\\slash": "nfs4", "/net/old": "nfs"}
    assert polled_points(NFS_WITH_SPACES) == {"/net/team share\ttab\\slash", "/net/old"}


def test_nothing_is_polled_on_a_laptop() -> None:
    assert parse_mountinfo(LAPTOP).keys() == {os.makedev(0, 22), os.makedev(259, 3)}
    assert polled_points(LAPTOP) == set()


def test_a_table_without_a_root_tells_what_it_can() -> None:
    assert polled_points(CHROOT) == {"/skills"}


@pytest.mark.parametrize(
    "line",
    [
        "rubbish",
        "36 35 98:0 / /mnt rw,noatime master:1 ext3 /dev/root rw",
        "36 35 98:0 / /mnt rw,noatime -",
        "36 35 98 / /mnt rw,noatime - ext3 /dev/root rw",
        "36 35 98:x / /mnt rw,noatime - ext3 /dev/root rw",
        "36 35 98:99999999999999999999 / /mnt rw,noatime - ext3 /dev/root rw",
        "36 35 1:2:3 / /mnt rw,noatime - ext3 /dev/root rw",
        " - - - ",
        "\0\r\x0b",
    ],
)
def test_a_line_that_is_no_mount_is_left_out_and_hides_no_other(line: str) -> None:
    good = "33 25 259:3 / /srv rw,relatime - ext4 /dev/nvme0n1p3 rw"
    assert types(f"{line}\n{good}\n{line}") == {"/srv": "ext4"}


def test_odd_characters_in_a_mount_point_end_no_line(tmp_path: Path) -> None:
    """The kernel escapes four characters and passes on all others, those that are not UTF-8 too."""
    table = tmp_path / "mountinfo"
    table.write_bytes(b"33 25 259:3 / /a\r\x0b\x0c\xc2\x85\xe2\x80\xa8\xff rw - nfs4 nas:/ rw\n")
    assert MountTable(str(table)).file_system(os.makedev(259, 3)) == "nfs4"


@pytest.mark.parametrize(
    "file_system",
    "nfs nfs4 cifs smb3 ceph glusterfs lustre ocfs2 9p virtiofs vboxsf prl_fs drvfs fakeowner overlay aufs "
    "fuse fuseblk fuse.sshfs fuse.vmhgfs-fuse fuse.rclone".split(),
)
def test_where_others_write_is_polled(file_system: str) -> None:
    assert is_polled(file_system)


@pytest.mark.parametrize(
    "file_system", ["ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "ramfs", "bcachefs", "fusectl"]
)
def test_where_this_kernel_alone_writes_is_watched(file_system: str) -> None:
    assert not is_polled(file_system)


class Recorded:
    """A table of mounts in a file, and a clock that is set by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.table = MountTable(str(path), lambda: self.now)

    def record(self, **types: str) -> None:
        """Writes a table with mounts such as `d7="ext4"`, which has the device number 0:7."""
        lines = (f"1 0 0:{name[1:]} / /{name} rw - {file_system} x rw" for name, file_system in types.items())
        self.path.write_text("\n".join(lines))

    def types(self, *minors: int) -> list[str | None]:
        return [self.table.file_system(os.makedev(0, minor)) for minor in minors]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "mountinfo")


def test_a_new_mount_is_known_at_once(recorded: Recorded) -> None:
    recorded.record(d7="ext4")
    assert recorded.types(7, 8) == ["ext4", None]
    recorded.record(d7="ext4", d8="nfs4")
    assert recorded.types(7, 8) == ["ext4", "nfs4"]


def test_what_is_known_is_believed_for_a_second(recorded: Recorded) -> None:
    recorded.record(d7="ext4")
    assert recorded.types(7) == ["ext4"]
    recorded.record(d7="nfs4")
    recorded.now += 0.99 * KEPT_S
    assert recorded.types(7) == ["ext4"]


def test_a_device_number_that_is_used_again_is_not_taken_for_the_old_one(recorded: Recorded) -> None:
    recorded.record(d7="tmpfs")
    assert recorded.types(7) == ["tmpfs"]
    recorded.record(d7="nfs4")
    recorded.now += KEPT_S
    assert recorded.types(7) == ["nfs4"]


def test_without_a_table_nothing_is_known_until_there_is_one(recorded: Recorded) -> None:
    assert recorded.types(7) == [None]
    recorded.record(d7="nfs4")
    recorded.now += KEPT_S
    assert recorded.types(7) == ["nfs4"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a table of mounts")
def test_the_system_directory_of_processes_is_known() -> None:
    assert MountTable().file_system(os.stat("/proc").st_dev) == "proc"


# Run in a mount namespace of its own, in an empty directory.
PROGRAM = """
import json, os, subprocess
from skills_refresh.watching.mounts import MountTable

def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)

def file_system(path):
    return MountTable().file_system(os.stat(path).st_dev)

for name in ("memory", "below", "over"):
    os.mkdir(name)
found = {"here": file_system("below")}
mount("-t", "tmpfs", "none", "memory")
for name in ("lower", "upper", "work", "bound"):
    os.mkdir("memory/" + name)
os.mkdir("memory/lower/deep")
mount("-t", "overlay", "none", "over", "-o", "lowerdir=memory/lower,upperdir=memory/upper,workdir=memory/work")
mount("--bind", "below", "memory/bound")
found.update({name: file_system(name) for name in ("memory", "memory/lower", "memory/bound", "over", "over/deep")})
print(json.dumps(found))
"""


def test_real_mounts_are_told_apart_by_the_device_of_any_directory_in_them(tmp_path: Path) -> None:
    """A bind mount is what it was before: the same device."""
    found = in_private_mounts(PROGRAM, tmp_path)
    assert (found["memory"], found["memory/lower"]) == ("tmpfs", "tmpfs")
    assert (found["over"], found["over/deep"]) == ("overlay", "overlay")
    assert found["memory/bound"] == found["here"]
