"""`voxcli devices`: list the loudspeakers."""

from dataclasses import asdict

from voxcli.cli.console import Console, write_json, write_table
from voxcli.cli.options import parameters as options


def devices(json: options.Json = False) -> None:
    """List the loudspeakers for --audio-device."""
    from voxcli.devices.portaudio import list_devices

    found = list_devices()
    if json:
        write_json([asdict(device) for device in found])
        return
    if not found:
        Console().note("No loudspeaker found; run `voxcli doctor`.")
        return
    rows = [["", "NUMBER", "NAME", "SYSTEM", "RATE"]]
    for device in found:
        mark = "*" if device.is_default else ""
        rows.append([mark, str(device.index), device.name, device.host, f"{device.sample_rate} Hz"])
    write_table(rows)
