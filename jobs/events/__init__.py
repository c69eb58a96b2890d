"""Events of jobs and clients as they are read and followed live."""
