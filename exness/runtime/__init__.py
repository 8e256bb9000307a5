"""asyncio around the core: queues, the sequencer, recovery. No sockets and no database: those are ports."""
