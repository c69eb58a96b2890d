"""fal's own JavaScript client, as npm installs it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CLIENT = "@fal-ai/client@1.10.1"
SECONDS = 120


def install_client(folder: Path) -> None:
    """Installs the client into a folder; skips the test where that can't be done here."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed here")
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", CLIENT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        pytest.skip(f"npm can't install {CLIENT} here: {done.stderr[-200:]}")


def for_a_page(folder: Path) -> str:
    """A script that gives a page `require`, with all that was installed: what a bundler would make of it."""
    root = folder / "node_modules"
    files = {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.suffix in (".js", ".cjs", ".json") and path.is_file()
    }
    mains = {
        name.removesuffix("/package.json"): str(Path(name).parent / json.loads(text)["main"])
        for name, text in files.items()
        if name.endswith("package.json") and "main" in json.loads(text)
    }
    told = json.dumps([files, mains]).replace("</", "<\\/")
    return f"const [files, mains] = {told};\n{_REQUIRE}"


_REQUIRE = """
const made = {};
function load(path) {
  if (made[path]) return made[path].exports;
  const module = (made[path] = { exports: {} });
  if (path.endsWith(".json")) return (module.exports = JSON.parse(files[path]));
  const inside = (name) => load(name.startsWith(".") ? beside(path, name) : mains[name]);
  new Function("module", "exports", "require", files[path])(module, module.exports, inside);
  return module.exports;
}
function beside(path, name) {
  const found = new URL(name, "http://x/" + path).pathname.slice(1);
  return [found, found + ".js", found + ".cjs", found + "/index.js"].find((one) => one in files);
}
const require = (name) => load(mains[name]);
"""
