"""The gateway: clients speak WebSocket and HTTP to it, it speaks Kafka topics to the stages."""
