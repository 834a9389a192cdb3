"""What the business does with events. One folder a topic; a handler is a plain function of an event and a context."""
