/* An echo server on libuv, as its users write it: read_start, a buffer for each connection, uv_write with a request of
 * its own for each message. While a write still needs the buffer, the next read gets another one. A host that is a path
 * is a Unix socket. */

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { CHUNK = 64 * 1024 };

typedef union {
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
} socket_t;

typedef struct {
  socket_t socket;
  int in_use;
  char buffer[CHUNK];
} connection_t;

typedef struct {
  uv_write_t request;
  uv_buf_t buf;
} message_t;

static void on_closed(uv_handle_t* handle) { free(handle); }

static void release(connection_t* connection, char* base) {
  if (base == connection->buffer)
    connection->in_use = 0;
  else
    free(base);
}

static void on_written(uv_write_t* request, int status) {
  message_t* message = (message_t*)request;
  release((connection_t*)request->handle, message->buf.base);
  if (status < 0 && !uv_is_closing((uv_handle_t*)request->handle))
    uv_close((uv_handle_t*)request->handle, on_closed);
  free(message);
}

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buf) {
  connection_t* connection = (connection_t*)handle;
  (void)suggested;
  *buf = uv_buf_init(connection->in_use ? malloc(CHUNK) : connection->buffer, CHUNK);
  if (buf->base == connection->buffer) connection->in_use = 1;
}

static void on_read(uv_stream_t* stream, ssize_t length, const uv_buf_t* buf) {
  if (length <= 0) {
    release((connection_t*)stream, buf->base);
    if (length < 0 && !uv_is_closing((uv_handle_t*)stream)) uv_close((uv_handle_t*)stream, on_closed);
    return;
  }
  message_t* message = malloc(sizeof(message_t));
  message->buf = uv_buf_init(buf->base, (unsigned)length);
  uv_write(&message->request, stream, &message->buf, 1, on_written);
}

static void init(uv_loop_t* loop, socket_t* socket, int is_pipe) {
  if (is_pipe)
    uv_pipe_init(loop, &socket->pipe, 0);
  else
    uv_tcp_init(loop, &socket->tcp);
}

static void on_connection(uv_stream_t* server, int status) {
  if (status < 0) return;
  connection_t* connection = malloc(sizeof(connection_t));
  connection->in_use = 0;
  init(server->loop, &connection->socket, server->type == UV_NAMED_PIPE);
  uv_stream_t* stream = &connection->socket.stream;
  if (uv_accept(server, stream) == 0)
    uv_read_start(stream, on_alloc, on_read);
  else
    uv_close((uv_handle_t*)stream, on_closed);
}

int main(int argc, char** argv) {
  int port = argc > 1 ? atoi(argv[1]) : 7000;
  const char* host = argc > 2 ? argv[2] : "127.0.0.1";
  int is_pipe = host[0] == '/';
  socket_t server;
  struct sockaddr_in addr;
  int length = sizeof(addr);
  init(uv_default_loop(), &server, is_pipe);
  uv_ip4_addr(host, port, &addr);
  int err = is_pipe ? uv_pipe_bind(&server.pipe, host)
                    : uv_tcp_bind(&server.tcp, (struct sockaddr*)&addr, 0);
  if (err == 0) err = uv_listen(&server.stream, 1024, on_connection);
  if (err != 0) {
    fprintf(stderr, "%s\n", uv_strerror(err));
    return 1;
  }
  if (is_pipe) {
    printf("Echo server listening on %s\n", host);
  } else {
    uv_tcp_getsockname(&server.tcp, (struct sockaddr*)&addr, &length);
    printf("Echo server listening on %s:%d\n", host, ntohs(addr.sin_port));
  }
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
