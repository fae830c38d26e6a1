"""A small HTTP/2 origin for tests, on python3-h2: answers every request with a chat answer."""

import h2.config
import h2.connection
import h2.events

import calls


def serve(wire):
    """A handler for ScriptedOrigin(alpn=("h2", ...)); speaks HTTP/1.1 when that was agreed."""
    if wire.alpn != "h2":
        import http1
        while http1.read_request(wire) is not None:
            wire.send(calls.response_bytes(calls.chat_answer()))
        return
    connection = h2.connection.H2Connection(
        config=h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    wire.send(connection.data_to_send())
    while data := wire.recv():
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length,
                                                     event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, [(":status", "200"),
                                                          ("content-type", "application/json")])
                connection.send_data(event.stream_id, calls.chat_answer(), end_stream=True)
        wire.send(connection.data_to_send())
