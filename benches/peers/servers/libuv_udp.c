/* A UDP echo server on libuv, as its users write it: recv_start, and uv_udp_send with a request of its own for each
 * datagram, which keeps a copy of it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static char buffer[64 * 1024];

typedef struct {
  uv_udp_send_t request;
  char data[];
} datagram_t;

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buf) {
  (void)handle;
  (void)suggested;
  *buf = uv_buf_init(buffer, sizeof(buffer));
}

static void on_sent(uv_udp_send_t* request, int status) {
  (void)status;
  free(request);
}

static void on_datagram(uv_udp_t* socket, ssize_t length, const uv_buf_t* buf, const struct sockaddr* from,
                        unsigned flags) {
  (void)flags;
  if (length < 0 || from == NULL) return;
  datagram_t* datagram = malloc(sizeof(datagram_t) + (size_t)length);
  memcpy(datagram->data, buf->base, (size_t)length);
  uv_buf_t data = uv_buf_init(datagram->data, (unsigned)length);
  if (uv_udp_send(&datagram->request, socket, &data, 1, from, on_sent) != 0) free(datagram);
}

int main(int argc, char** argv) {
  int port = argc > 1 ? atoi(argv[1]) : 7000;
  const char* host = argc > 2 ? argv[2] : "127.0.0.1";
  uv_udp_t socket;
  struct sockaddr_storage addr;
  int length = sizeof(addr);
  uv_udp_init(uv_default_loop(), &socket);
  uv_ip4_addr(host, port, (struct sockaddr_in*)&addr);
  int err = uv_udp_bind(&socket, (struct sockaddr*)&addr, 0);
  if (err == 0) err = uv_udp_recv_start(&socket, on_alloc, on_datagram);
  if (err != 0) {
    fprintf(stderr, "%s\n", uv_strerror(err));
    return 1;
  }
  uv_udp_getsockname(&socket, (struct sockaddr*)&addr, &length);
  printf("UDP echo server listening on %s:%d\n", host, ntohs(((struct sockaddr_in*)&addr)->sin_port));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
