"""The wire of an exchange that is spread over several processes: Redis Streams, or Valkey's. Only a wire: every byte
of it may be lost at any moment, and nothing that was acknowledged is. What must not be lost is in PostgreSQL.

The rules that this stands on, each with its reason:

1. A command's id is made by the server that sends it and is the cause of its records. What was not answered is sent
   again under the same id, and the engine knows every id that it has decided: a second one gets the first outcome.
   Who takes over knows them from the journal's newest records.
2. A server counts only answers of the epoch that it last sent the command to. An engine that was overtaken may still
   refuse what its successor does.
3. Refusals are remembered as well: else a command that was sent twice could be refused and then done.
4. Nothing is told before it is in the journal: records, and whatever was decided after them, wait for the commit.
5. Each epoch has a stream of commands of its own. What was for a dead engine never reaches its successor unasked.
6. Who has lost its connection goes on after the last entry that it read, or, where the stream ends before that, after
   its end: after a failover new ids can be smaller, and what a stream holds that was set back was read before. What is
   missed so is asked again.
7. Every hole is filled from the journal, which alone is complete.
"""
