"""OpenAI's images and videos under /v1, as its official clients speak it; every request is a job like any other."""
