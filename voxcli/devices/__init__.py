"""Audio devices: loudspeakers and microphones. The only importer of sounddevice."""
