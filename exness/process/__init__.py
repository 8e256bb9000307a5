"""The process itself: its signals, standard streams, threads and sockets."""
