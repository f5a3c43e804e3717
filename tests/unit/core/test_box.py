"""A box is whole or not there; it is built once, and checked before it is used."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from programs import Programs

from labctl.console import BaseReporter, Step
from labctl.errors import BoxError, HostError, UsageError
from labctl.steps import box, mmdebstrap
from labctl.steps.box import Box
from labctl.steps.recipe import recipe

# mmdebstrap's last argument of this kind is the tree; for users it is also what removes the tree again.
MMDEBSTRAP = """
if test "$1" = --unshare-helper; then shift; exec "$@"; fi
for word; do case $word in */tree) tree=$word ;; esac; done
mkdir -p "$tree/boot"
echo a kernel > "$tree/boot/vmlinuz-6.1.0-cloud-amd64"
echo an initrd > "$tree/boot/initrd.img-6.1.0-cloud-amd64"
echo "I: installing packages"
"""
# Whoever packs the image finds the tree gone: by then only its owner, who may be a user namespace, could remove it.
QEMU_IMG = 'test ! -e "$(dirname "${@: -2:1}")/tree" || exit 9; echo an image > "${@: -1}"'


@pytest.fixture
def host(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A host that builds a box in no time."""
    programs.add("mmdebstrap", MMDEBSTRAP)
    programs.add("mke2fs")
    programs.add("qemu-img", QEMU_IMG)
    programs.add("apt-get", "echo 'http://mirror.lan/debian/|bookworm|main'")
    workshops = tmp_path / "workshops"
    workshops.mkdir()
    monkeypatch.setattr(box, "_WORKSHOPS", workshops)
    return programs


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "labctl" / "boxes"


def build(reporter: BaseReporter, **options: bool) -> Box:
    return box.build("debian-12", reporter, **options)


def left(tmp_path: Path, cache: Path) -> list[str]:
    """What a build has left behind, but for its lock and its log."""
    here = [*(tmp_path / "workshops").iterdir(), *cache.iterdir()]
    return [path.name for path in here if path.suffix not in (".lock", ".log")]


@pytest.mark.usefixtures("host")
def test_a_box_is_a_vagrant_box_beside_its_kernel_and_initrd(
    reporter: BaseReporter, cache: Path, tmp_path: Path
) -> None:
    made = build(reporter)
    assert made.path == cache / f"debian-12-{box.recipe_key('debian-12')}"
    assert {path.name for path in made.path.iterdir()} == {"debian-12.box", "vmlinuz", "initrd", "box.json"}
    assert (made.kernel.read_text(), made.initrd.read_text()) == ("a kernel\n", "an initrd\n")
    with tarfile.open(made.file) as archive:
        assert archive.getnames() == ["metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd"]
        metadata = archive.extractfile("metadata.json")
        assert metadata is not None
        assert json.load(metadata) == {"provider": "libvirt", "format": "qcow2", "virtual_size": 16}
    assert made.size_bytes == made.file.stat().st_size
    assert made.disk_size == 16 * 1024**3
    assert left(tmp_path, cache) == [made.path.name]


def test_it_is_built_from_the_hosts_own_mirrors_with_the_roles_packages(
    host: Programs, reporter: BaseReporter
) -> None:
    build(reporter)
    words = host.calls("mmdebstrap")[0]
    assert words.endswith("deb http://mirror.lan/debian/ bookworm main")
    # What the machines' Python keeps is put there, and filled; in this order.
    hooks = [words.index(part) for part in ("customize.sh", "labctl.steps.precompile")]
    assert hooks == sorted(hooks)
    included = words.split("--include=")[1].split(" ")[0].split(",")
    assert {"slapd", "slurmctld", "slurmd", "sssd-ldap", "munge", "nfs-kernel-server"} <= set(included)


@pytest.mark.usefixtures("host")
def test_what_goes_into_it_lies_beside_the_script_that_puts_it_there(tmp_path: Path) -> None:
    wanted = recipe("debian-12")
    words = mmdebstrap.command(wanted, tmp_path)
    (script,) = (word for word in words if "customize.sh" in word)
    assert f'{tmp_path}/customize.sh "$1"' in script
    assert f"WARM_PYTHON={wanted.warm_python} " in script
    text = (tmp_path / "customize.sh").read_text()
    for name in ("kept_code.py", "warm_python.py", "warm_python.c"):
        assert f"$here/{name}" in text
        assert (tmp_path / name).read_bytes() == (wanted.customize.parent / name).read_bytes()


@pytest.mark.skipif(not mmdebstrap.own_mounts(), reason="no right to make a mount namespace")
def test_what_a_build_has_mounted_goes_with_it(
    host: Programs, reporter: BaseReporter, tmp_path: Path, cache: Path
) -> None:
    host.add(
        "mmdebstrap", MMDEBSTRAP + 'mount -t tmpfs none "$tree/boot" && touch "$tree/boot/here" && exit 1'
    )
    with pytest.raises(BoxError, match="could not be built"):
        build(reporter)
    assert left(tmp_path, cache) == []


def test_mirrors_of_other_releases_are_not_the_boxs(host: Programs) -> None:
    rows = [
        "http://m/debian/|bookworm|main",
        "http://m/debian/|bookworm|contrib",
        "http://m/debian/|bookworm-updates|main",
        "http://m/security/|bookworm-security|main",
        "http://m/debian/|trixie|main",
        "http://m/debian/|bookworm|main",
    ]
    host.add("apt-get", "printf '%s\\n' " + " ".join(f"'{row}'" for row in rows))
    assert mmdebstrap.mirrors("bookworm") == [
        "deb http://m/debian/ bookworm main",
        "deb http://m/debian/ bookworm-updates main",
        "deb http://m/security/ bookworm-security main",
    ]


def test_it_is_built_once(host: Programs, reporter: BaseReporter) -> None:
    first = build(reporter)
    calls = len(host.calls("mmdebstrap"))
    assert build(reporter) == first
    assert box.current("debian-12") == first
    assert len(host.calls("mmdebstrap")) == calls


def test_force_builds_it_again(host: Programs, reporter: BaseReporter) -> None:
    first = build(reporter)
    host.add("qemu-img", 'echo another image > "${@: -1}"')
    second = build(reporter, force=True)
    assert second.sha256["debian-12.box"] != first.sha256["debian-12.box"]
    assert box.boxes() == (second,)
    second.check()


def test_two_who_need_it_at_once_build_it_once(host: Programs, reporter: BaseReporter) -> None:
    host.add("mke2fs", "sleep 0.2")
    made: list[Box] = []
    threads = [threading.Thread(target=lambda: made.append(build(reporter))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert made[0] == made[1]
    assert len(host.calls("mke2fs")) == 1


@pytest.mark.parametrize("program", ["mmdebstrap", "mke2fs", "qemu-img"])
def test_a_build_that_fails_half_way_leaves_nothing(
    host: Programs, reporter: BaseReporter, cache: Path, tmp_path: Path, program: str
) -> None:
    own = {"mmdebstrap": MMDEBSTRAP, "mke2fs": "", "qemu-img": QEMU_IMG}[program]
    host.add(program, f"{own}\necho E: mirror is gone; exit 25")
    with pytest.raises(BoxError, match="the box debian-12 could not be built") as failed:
        build(reporter)
    assert f"{program} failed with exit code 25" in failed.value.why
    assert "E: mirror is gone" in failed.value.why
    assert str(cache / "debian-12.log") in failed.value.hint
    assert left(tmp_path, cache) == []
    assert box.boxes() == ()
    host.add(program, own)
    build(reporter).check()


def test_a_build_that_fails_leaves_the_box_that_was_there(
    host: Programs, reporter: BaseReporter, tmp_path: Path, cache: Path
) -> None:
    first = build(reporter)
    host.add("qemu-img", "exit 1")
    with pytest.raises(BoxError):
        build(reporter, force=True)
    first.check()
    assert box.boxes() == (first,)
    assert left(tmp_path, cache) == [first.path.name]


def test_a_build_that_is_interrupted_leaves_nothing(
    host: Programs, reporter: BaseReporter, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(box, "_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(reporter)
    assert left(tmp_path, cache) == []
    assert host.calls("mke2fs") == []


@pytest.mark.parametrize("deed", ["shutil.move", "tarfile.TarFile.add"], ids=["moved", "packed"])
def test_a_disk_that_gets_full_is_said_and_leaves_nothing(
    host: Programs, reporter: BaseReporter, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, deed: str
) -> None:  # fmt: skip
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deed, full)
    with pytest.raises(BoxError, match="could not be built") as failed:
        build(reporter)
    assert "No space left" in failed.value.why
    assert left(tmp_path, cache) == []
    assert host.calls("mmdebstrap")


def test_the_cache_may_be_on_another_file_system(
    host: Programs, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = os.rename

    def rename(source: str | Path, target: str | Path, **options: int) -> None:
        if (tmp_path / "workshops") in Path(source).parents:
            raise OSError(18, "Invalid cross-device link")
        real(source, target, **options)

    monkeypatch.setattr(os, "rename", rename)
    build(reporter).check()
    assert host.calls("qemu-img")


@pytest.mark.parametrize("name", ["debian-12.box", "vmlinuz", "initrd"])
@pytest.mark.parametrize("damage", ["a byte", "the end", "gone"])
@pytest.mark.usefixtures("host")
def test_a_damaged_box_is_found(reporter: BaseReporter, name: str, damage: str) -> None:
    made = build(reporter)
    path = made.path / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "the end" else b"X" + content[1:])
    with pytest.raises(BoxError, match="the box debian-12 is damaged") as found:
        made.check()
    assert str(path) in found.value.why
    assert found.value.hint == "labctl box build debian-12 --force"


@pytest.mark.usefixtures("host")
def test_what_is_no_whole_box_is_no_box(reporter: BaseReporter, cache: Path) -> None:
    made = build(reporter)
    (made.path / "debian-12.box").unlink()
    assert box.current("debian-12") is None
    for text in ("{", "{}", '{"name": "x", "unknown": 1}'):
        (cache / "debian-12-old").mkdir(exist_ok=True)
        (cache / "debian-12-old" / "box.json").write_text(text)
        assert box.boxes() == ()


@pytest.mark.usefixtures("host")
def test_boxes_are_listed_the_newest_first_and_removed_by_name(reporter: BaseReporter) -> None:
    made = build(reporter)
    older = made.path.with_name("debian-12-older")
    shutil.copytree(made.path, older)
    facts = json.loads((older / "box.json").read_text())
    (older / "box.json").write_text(json.dumps({**facts, "version": "older", "created": 1.0}))
    assert [one.version for one in box.boxes()] == [made.version, "older"]
    with pytest.raises(UsageError, match="no box 'debain-12' has been built") as refused:
        box.remove("debain-12")
    assert refused.value.hint == "did you mean debian-12?"
    assert {one.version for one in box.remove("debian-12")} == {made.version, "older"}
    assert box.boxes() == ()
    assert not older.exists()
    with pytest.raises(UsageError, match="no box 'debian-12' has been built"):
        box.remove("debian-12")


def test_a_host_without_the_tools_is_told_which(
    programs: Programs, reporter: BaseReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.process.search_path", lambda: str(programs.folder))
    programs.add("qemu-img")
    with pytest.raises(HostError, match="mmdebstrap, mke2fs not installed"):
        build(reporter)


def test_a_host_without_the_room_is_told_where(
    host: Programs, reporter: BaseReporter, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "_SPACE_NEEDED", 2**62)
    with pytest.raises(HostError, match="not enough space") as refused:
        build(reporter)
    assert str(cache) in refused.value.what
    assert host.calls("mmdebstrap") == []


def test_a_box_of_another_content_has_another_name_for_vagrant(
    host: Programs, reporter: BaseReporter
) -> None:
    first = build(reporter)
    host.add("qemu-img", 'echo newer packages > "${@: -1}"')
    second = build(reporter, force=True)
    assert first.version == second.version
    assert first.vagrant_name != second.vagrant_name
    for made in (first, second):
        assert made.vagrant_name.startswith(f"labctl-debian-12-{made.version}-")


def test_labctl_knows_which_boxes_are_its_own() -> None:
    assert box.is_own("debian-12")
    assert not box.is_own("debian/bookworm64")


def test_a_box_from_another_host_is_taken_in_once(
    host: Programs, reporter: BaseReporter, tmp_path: Path
) -> None:
    built = build(reporter)
    for name in ("first", "second"):
        shutil.copytree(built.path, tmp_path / name)
    box.discard(built)
    assert box.boxes() == ()
    taken = box.take_in(tmp_path / "first")
    assert box.take_in(tmp_path / "second") == taken
    assert box.boxes() == (taken,)
    assert build(reporter) == taken  # the current one of its version
    taken.check()
    assert len(host.calls("mmdebstrap")) == 1


def test_a_box_from_another_host_takes_nobodys_place(
    host: Programs, reporter: BaseReporter, tmp_path: Path
) -> None:
    theirs = build(reporter)
    shutil.copytree(theirs.path, tmp_path / "theirs")
    host.add("qemu-img", 'echo newer packages > "${@: -1}"')
    ours = build(reporter, force=True)
    taken = box.take_in(tmp_path / "theirs")
    assert taken.vagrant_name == theirs.vagrant_name
    assert box.current("debian-12") == ours
    assert {one.vagrant_name for one in box.boxes()} == {ours.vagrant_name, theirs.vagrant_name}


@pytest.mark.usefixtures("host")
def test_a_damaged_box_from_another_host_is_not_taken_in(reporter: BaseReporter, tmp_path: Path) -> None:
    built = build(reporter)
    shutil.copytree(built.path, tmp_path / "theirs")
    box.discard(built)
    (tmp_path / "theirs" / "initrd").write_text("not it")
    with pytest.raises(BoxError, match="damaged"):
        box.take_in(tmp_path / "theirs")
    with pytest.raises(BoxError, match="has no box"):
        box.take_in(tmp_path)
    assert box.boxes() == ()


@pytest.mark.usefixtures("host")
def test_a_box_has_an_age(reporter: BaseReporter) -> None:
    made = replace(build(reporter), created=time.time() - 3 * 86400)
    assert box.older(made, 2)
    assert not box.older(made, 4)


def test_what_mmdebstrap_does_is_shown(reporter: BaseReporter, view: Step) -> None:
    box._progress("I: installing packages", "debian-12", view)
    for line in ("I: running --customize-hook in shell", "Get:1 http://m", "W: something"):
        box._progress(line, "debian-12", view)
    assert view.nodes["debian-12"].text == "installing packages"
    assert reporter
