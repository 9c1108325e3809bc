"""`framework doctor`: what is installed, where and in which state."""

from __future__ import annotations

from typing import Any

import click

from framework.cli.options import answer, json_option, verbose_option


@click.command("doctor")
@json_option
@verbose_option
def command(as_json: bool, verbose: bool) -> int:
    """Say which versions run on which platform, and how cache, engine and plug-ins are.

    Exit code 1 when something stands in the way of a run or is broken.
    """
    found = examine()
    if as_json:
        answer(found)
    else:
        show(found)
    return 1 if found["problems"] else 0


def examine() -> dict[str, Any]:
    """Return the whole state as plain values."""
    from framework import plugins
    from framework.boundary.jit import JIT, cache_directory, is_writable
    from framework.cli import state

    folder = cache_directory()
    cache = {"folder": str(folder), "writable": is_writable(folder), "bytes": state.folder_size(folder)}
    engine = {"jit": JIT, "compiled": JIT and state.engine_is_compiled(), "folder": str(state.engine_folder())}
    rows = plugins.registry().listed()
    problems = [f"{row.kind} {row.name} of {row.distribution}: {row.error}" for row in rows
                if row.state in ("broken", "duplicate")]
    if not cache["writable"]:
        problems.append(f"cache folder {folder} cannot be written: every run compiles anew; set FRAMEWORK_CACHE_DIR")
    described = state.describe_platform()
    if described["support"] == state.UNKNOWN:
        problems.append(f"{described['system']} on {described['machine']} is a platform nobody has tried")
    return {
        "versions": state.versions(),
        "platform": described,
        "cache": cache,
        "engine": engine,
        "plugins": [{"kind": row.kind, "name": row.name, "distribution": row.distribution, "version": row.version,
                     "state": row.state} for row in rows],
        "problems": problems,
    }


def show(found: dict[str, Any]) -> None:
    """Print the state for a person."""
    described, cache, engine = found["platform"], found["cache"], found["engine"]
    click.echo(f"platform  {described['system']} {described['machine']}: {described['support']}")
    click.echo(f"python    {found['versions']['python']} at {described['python']}")
    for name, version in found["versions"].items():
        if name != "python":
            click.echo(f"          {name} {version or 'not installed'}")
    access = "writable" if cache["writable"] else "NOT writable"
    click.echo(f"cache     {cache['folder']}: {access}, {cache['bytes'] / 1e6:.1f} MB")
    ready = "compiled" if engine["compiled"] else "not compiled yet; the first run does it, in under half a minute"
    click.echo(f"engine    {ready if engine['jit'] else 'interpreted: NUMBA_DISABLE_JIT is set'}")
    for row in found["plugins"]:
        origin = f"{row['distribution']} {row['version']}".rstrip()
        state = "" if row["state"] == "ok" else f"  {row['state'].upper()}"
        click.echo(f"plug-in   {row['kind']} {row['name']} ({origin}){state}")
    for problem in found["problems"]:
        click.echo(f"problem   {problem}")
    click.echo("all well" if not found["problems"] else f"{len(found['problems'])} problem(s)")
