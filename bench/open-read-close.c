/*
 * Opens, reads and closes every file named on standard input (one path a line), ROUNDS times, and
 * prints the nanoseconds each took on average. In C, because a runtime of its own would cost more
 * than the three system calls that are measured.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 1;
  char **paths = NULL, *line = NULL;
  size_t count = 0, capacity = 0, size = 0;
  ssize_t length;
  while ((length = getline(&line, &size, stdin)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = 0;
    if (count == capacity) paths = realloc(paths, (capacity = capacity * 2 + 1024) * sizeof *paths);
    paths[count++] = strdup(line);
  }
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int round = 0; round < rounds; round++) {
    for (size_t i = 0; i < count; i++) {
      int fd = open(paths[i], O_RDONLY);
      if (fd < 0 || read(fd, buffer, sizeof buffer) < 0) return perror(paths[i]), 1;
      close(fd);
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double ns = (end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec);
  printf("%.1f\n", count == 0 ? 0 : ns / ((double)rounds * count));
  return 0;
}
