"""`./osprey up`, `status` and `down`: what they check, and what they say.

python -m webapp.site_commands up|status|down      (./osprey does the set-up before)
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from webapp import runstate
from webapp.broker import BrokerError
from webapp.processes import ROOT, Site, all_processes, health, site_environment
from webapp.supervisor import StartError, Supervisor, say

NOT_RUNNING = 3  # the exit status of `status`, as init scripts have it
STOP_SECONDS = 40.0


def main(words: Sequence[str]) -> int:
    options = _parser().parse_args(words)
    data = Path(os.environ.get("OSPREY_DATA") or ROOT / "data").resolve()
    try:
        if options.command == "up":
            return up(data, port=options.port, lan=options.lan)
        return status(data, as_json=options.json) if options.command == "status" else down(data)
    except (StartError, BrokerError) as error:
        sys.stderr.write(f"osprey: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./osprey")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start the site and stay; Ctrl-C stops it")
    start.add_argument(
        "--port", type=int, default=int(os.environ.get("OSPREY_PORT") or 8000), help="default 8000; 0: any"
    )
    start.add_argument("--lan", action="store_true", help="answer the whole network, and require signing in")
    start.add_argument("--data", metavar="DIR", help="the folder for all that is yours (default: OSPREY_DATA, ./data)")
    look = commands.add_parser("status", help="exit status 0 when the site runs, 3 when it does not")
    look.add_argument("--json", action="store_true", help="one line of JSON")
    look.add_argument("--data", metavar="DIR")
    commands.add_parser("down", help="stop the site").add_argument("--data", metavar="DIR")
    return parser


# ---- up --------------------------------------------------------------------------------------------------------------


def up(data: Path, *, port: int, lan: bool) -> int:
    """Hold the data folder and the port before anything is changed, then prepare, then run until told to stop."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _hold(data)
    listener = listen("0.0.0.0" if lan else "127.0.0.1", port)
    site = Site(
        data=data,
        port=listener.getsockname()[1],
        listener=listener.fileno(),
        lan_hosts=tuple(lan_names()) if lan else (),
    )
    say(f"osprey: data in {data}")
    # The launcher's own way, so that it is done once, whoever comes first.
    if subprocess.call([sys.executable, str(ROOT / "osprey"), "prepare"], env={**os.environ, "OSPREY_DATA": str(data)}):
        raise StartError("the site was not started")
    try:
        return Supervisor(site, all_processes(site)).run(lambda: announce(site))
    finally:
        os.close(lock)


def _hold(data: Path) -> int:
    lock = runstate.take_lock(data)
    if lock is None:
        state = runstate.read(data)
        if state is not None and runstate.is_alive(state.pid):
            raise StartError(f"already running at {state.url} (process {state.pid}); ./osprey down stops it")
        say("osprey: an earlier site is still stopping, waiting for it")
        lock = runstate.take_lock(data, seconds=STOP_SECONDS)
    if lock is None:
        raise StartError(f"another process holds {data / 'run' / 'supervisor.lock'}; end it, or use another --data")
    return lock


def listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except PermissionError as error:
        raise StartError(f"port {port} needs special rights: use one above 1023, ./osprey up --port 8000") from error
    except (OSError, OverflowError) as error:
        raise StartError(
            f"port {port} cannot be used ({error}): stop what uses it, or ./osprey up --port {min(port + 1, 65535)}"
        ) from error
    return listener


def announce(site: Site) -> None:
    say(f"Osprey is ready: {site.url}")
    if site.lan_hosts:
        import segno

        address = f"http://{site.lan_hosts[0]}:{site.port}"
        say(f"On this network: {address}")
        # The compact form draws with half blocks, which a terminal without Unicode cannot show.
        segno.make(address, micro=False).terminal(compact=sys.stdout.encoding.lower() == "utf-8")
    link = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "signin_link"],
        env={**os.environ, **site_environment(site)},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if link.stdout.strip():
        say(f"Sign in once as the first admin: {link.stdout.strip()}")
    say("Ctrl-C stops it.")


def lan_names() -> list[str]:
    """This machine's address on the network, then its names. No packet is sent: connecting only picks the route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = str(probe.getsockname()[0])
        except OSError as error:
            raise StartError("this machine has no network address: connect it first, or leave --lan out") from error
    name = socket.gethostname()
    return [address, name, f"{name.split('.')[0]}.local"]


# ---- status and down -------------------------------------------------------------------------------------------------


def status(data: Path, *, as_json: bool) -> int:
    state = runstate.read(data) if runstate.is_held(data) else None
    if state is None:
        say(json.dumps({"running": False, "data": str(data)}) if as_json else f"not running (data in {data})")
        return NOT_RUNNING
    said = health(Site(data=data, port=state.port, listener=-1), workers=True) or {}
    if as_json:
        say(json.dumps({"running": True, **asdict(state), "health": said}))
        return 0
    doing = "running" if state.ready else "starting"
    say(f"{doing} at {state.url} for {_span(time.time() - state.started)}, data in {data}")
    for child in state.children:
        life = (
            f"process {child.pid}, {_span(time.time() - child.started)}" if child.pid else "waiting to be started again"
        )
        again = f", started again {child.restarts} times (last status {child.last_exit})" if child.restarts else ""
        say(f"  {child.name:<8}{said.get(child.name, ''):<10}{life}{again}")
    return 0


def _span(seconds: float) -> str:
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def down(data: Path) -> int:
    if not runstate.is_held(data):
        say(f"not running (data in {data})")
        return 0
    state = runstate.read(data)
    if state is not None and runstate.is_alive(state.pid):
        os.kill(state.pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while runstate.is_held(data):
        if time.monotonic() > until:
            raise StartError(f"it did not stop within {STOP_SECONDS:.0f} s; see {data / 'logs'}")
        time.sleep(0.1)
    say("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
