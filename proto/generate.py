"""Generate engine/pb from the .proto sources beside this file: `python -m proto.generate`."""

import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

SOURCES = Path(__file__).resolve().parent
TARGET = SOURCES.parent / "engine" / "pb"
# protoc writes imports relative to the proto root; ours live below engine.pb.
_TOP_IMPORT = re.compile(r"^import (\w+_pb2) as", re.MULTILINE)
_NESTED_IMPORT = re.compile(r"^from v1", re.MULTILINE)


def generate(target: Path) -> None:
    """Replace what `target` holds with freshly generated modules, stubs and packages."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    arguments = ["protoc", f"-I{SOURCES}", f"-I{files('grpc_tools') / '_proto'}"]
    arguments += [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main([*arguments, *map(str, sorted(SOURCES.rglob("*.proto")))]):
        sys.exit("protoc refused the sources")
    for module in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        text = _TOP_IMPORT.sub(r"from engine.pb import \1 as", module.read_text())
        module.write_text(_NESTED_IMPORT.sub("from engine.pb.v1", text))
    for package in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (package / "__init__.py").touch()
    for empty in target.rglob("*_pb2_grpc.py"):
        if "class " not in empty.read_text():
            empty.unlink()


if __name__ == "__main__":
    generate(TARGET)
