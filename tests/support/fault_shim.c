/* The system as a test wants it, for LD_PRELOAD: name service and a full disk.
 *
 * While the file $HM_TEST_DISK_FULL exists no regular file can be written: ENOSPC. If it holds the
 * name of a folder, only files below that.
 *
 * The file $HM_TEST_DNS is read at every look-up; the first line that fits counts, a name without a
 * line goes to the system.
 *
 *   NAME FAMILY addr ADDRESS...    FAMILY: 4, 6 or *
 *   NAME FAMILY none               there is no such name
 *   NAME FAMILY again              the name servers fail
 *   NAME FAMILY hang               no answer for as long as this line is there
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

typedef int (*lookup)(const char*, const char*, const struct addrinfo*, struct addrinfo**);

static int rule_for(const char* name, int family, char* action, char* rest) {
  char line[1024];
  char host[256];
  char which[8];
  const char* path = getenv("HM_TEST_DNS");
  FILE* file = path != NULL ? fopen(path, "re") : NULL;
  int found = 0;
  while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
    int at = 0;
    rest[0] = '\0';
    if (sscanf(line, "%255s %7s %15s%n", host, which, action, &at) < 3) continue;
    if (strcmp(host, name) != 0) continue;
    if (which[0] != '*' && family != AF_UNSPEC && family != (which[0] == '6' ? AF_INET6 : AF_INET))
      continue;
    strcpy(rest, line + at);
    found = 1;
  }
  if (file != NULL) fclose(file);
  return found;
}

int getaddrinfo(const char* name, const char* service, const struct addrinfo* hints,
                struct addrinfo** result) {
  const lookup system_lookup = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");
  const int family = hints != NULL ? hints->ai_family : AF_UNSPEC;
  char action[16];
  char rest[1024];
  int hung = 0;
  while (name != NULL && rule_for(name, family, action, rest)) {
    if (strcmp(action, "hang") == 0) {
      const struct timespec pause = {0, 20 * 1000 * 1000};
      hung = 1;
      nanosleep(&pause, NULL);
      continue;
    }
    if (strcmp(action, "none") == 0) return EAI_NONAME;
    if (strcmp(action, "addr") != 0) return EAI_AGAIN;
    struct addrinfo* first = NULL;
    struct addrinfo** tail = &first;
    char* state = NULL;
    for (char* word = strtok_r(rest, " \n", &state); word != NULL;
         word = strtok_r(NULL, " \n", &state)) {
      struct addrinfo numeric = {0};
      if (hints != NULL) numeric = *hints;
      numeric.ai_flags = AI_NUMERICHOST;
      if (system_lookup(word, service, &numeric, tail) != 0) continue; /* the other family */
      while (*tail != NULL) tail = &(*tail)->ai_next;
    }
    if (first == NULL) return EAI_NONAME;
    *result = first;
    return 0;
  }
  if (hung) return EAI_AGAIN; /* as it ends in life: after all time-outs */
  return system_lookup(name, service, hints, result);
}

static int below(int descriptor, const char* folder) {
  char link[64];
  char path[4096];
  const size_t length = strlen(folder);
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t got = readlink(link, path, sizeof path);
  return got > (ssize_t)length && strncmp(path, folder, length) == 0 && path[length] == '/';
}

static int full(int descriptor) {
  struct stat info;
  char folder[4096] = "";
  const char* name = getenv("HM_TEST_DISK_FULL");
  FILE* flag = name != NULL ? fopen(name, "re") : NULL;
  if (flag == NULL) return 0;
  if (fgets(folder, sizeof folder, flag) == NULL) folder[0] = '\0';
  fclose(flag);
  if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  if (folder[0] != '\0' && !below(descriptor, folder)) return 0;
  errno = ENOSPC;
  return 1;
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static ssize_t (*next)(int, const void*, size_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "write");
  return full(descriptor) ? -1 : next(descriptor, bytes, count);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  static ssize_t (*next)(int, const void*, size_t, off64_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "pwrite64");
  return full(descriptor) ? -1 : next(descriptor, bytes, count, offset);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  return pwrite64(descriptor, bytes, count, offset);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t length) {
  static int (*next)(int, off64_t, off64_t);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "posix_fallocate64");
  return full(descriptor) ? ENOSPC : next(descriptor, offset, length);
}

int posix_fallocate(int descriptor, off_t offset, off_t length) {
  return posix_fallocate64(descriptor, offset, length);
}
