/* An echo server on libuv, as its users write it: read_start, a buffer for each connection, uv_write with a request of
 * its own for each message. While a write still needs the buffer, the next read gets another one. */

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { CHUNK = 64 * 1024 };

typedef struct {
  uv_tcp_t tcp;
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

static void on_connection(uv_stream_t* server, int status) {
  if (status < 0) return;
  connection_t* connection = malloc(sizeof(connection_t));
  connection->in_use = 0;
  uv_tcp_init(server->loop, &connection->tcp);
  if (uv_accept(server, (uv_stream_t*)&connection->tcp) == 0)
    uv_read_start((uv_stream_t*)&connection->tcp, on_alloc, on_read);
  else
    uv_close((uv_handle_t*)&connection->tcp, on_closed);
}

int main(int argc, char** argv) {
  int port = argc > 1 ? atoi(argv[1]) : 7000;
  const char* host = argc > 2 ? argv[2] : "127.0.0.1";
  uv_tcp_t server;
  struct sockaddr_storage addr;
  int length = sizeof(addr);
  uv_tcp_init(uv_default_loop(), &server);
  uv_ip4_addr(host, port, (struct sockaddr_in*)&addr);
  int err = uv_tcp_bind(&server, (struct sockaddr*)&addr, 0);
  if (err == 0) err = uv_listen((uv_stream_t*)&server, 1024, on_connection);
  if (err != 0) {
    fprintf(stderr, "%s\n", uv_strerror(err));
    return 1;
  }
  uv_tcp_getsockname(&server, (struct sockaddr*)&addr, &length);
  printf("Echo server listening on %s:%d\n", host, ntohs(((struct sockaddr_in*)&addr)->sin_port));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
