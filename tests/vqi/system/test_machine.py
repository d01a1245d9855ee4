"""What this machine is, from files as Linux has them."""

from pathlib import Path

from vqi.system.machine import free_disk, free_memory, numa_nodes, processor_name


def test_the_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some(R) Processor 9000 @ 2.0GHz\nflags\t\t: fpu\n")
    assert processor_name(tmp_path / "cpuinfo") == "Some(R) Processor 9000 @ 2.0GHz"
    assert processor_name(tmp_path / "none") == ""


def test_nodes(tmp_path: Path) -> None:
    for name in ("node0", "node1", "node10", "has_cpu", "possible"):
        (tmp_path / name).mkdir()
    assert numa_nodes(tmp_path) == 3
    assert numa_nodes(tmp_path / "none") == 1


def test_memory_and_disk(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       24684032 kB\nMemAvailable:   12 kB\n")
    assert free_memory(tmp_path / "meminfo") == 12 * 1024
    assert free_memory(tmp_path / "none") is None
    assert free_disk(tmp_path / "not" / "there") == free_disk(tmp_path) > 0
