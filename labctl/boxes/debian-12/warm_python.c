/* warm_python KEY ...: what /usr/bin/python3 ... does, without its start.
 *
 * Beside each machine's Python stands one that has loaded all that Ansible needs (warm_python.py). This hands it a program
 * that was given with -c, together with all that belongs to a process: arguments, environment, directory, umask and the
 * three standard files. Where none with this KEY listens, and for whatever else, it is Python itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef FOLDER
#define FOLDER "/run/warm_python"
#endif
#ifndef PYTHON
#define PYTHON "/usr/bin/python3"
#endif

extern char **environ;

static char *message;
static size_t length;

static int add(const char *word)
{
    size_t more = strlen(word) + 1;
    char *longer = realloc(message, length + more);
    if (!longer)
        return -1;
    message = longer;
    memcpy(message + length, word, more);
    length += more;
    return 0;
}

static int add_number(const char *form, unsigned number)
{
    char word[16];
    snprintf(word, sizeof word, form, number);
    return add(word);
}

/* The process as text, each word with its zero: umask, directory, how many arguments, these, the environment. */
static int describe(int count, char **arguments)
{
    char directory[4096];
    mode_t mask = umask(0);
    umask(mask);
    if (!getcwd(directory, sizeof directory) || add_number("%o", mask) || add(directory) || add_number("%u", count))
        return -1;
    for (int i = 0; i < count; i++)
        if (add(arguments[i]))
            return -1;
    for (char **variable = environ; *variable; variable++)
        if (add(*variable))
            return -1;
    return 0;
}

static int connected(const char *key)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", FOLDER, key);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return -1;
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server >= 0 && connect(server, (struct sockaddr *)&address, sizeof address) == 0)
        return server;
    if (server >= 0)
        close(server);
    return -1;
}

/* The length and the standard files, in one piece. */
static int announce(int server)
{
    int files[3] = {0, 1, 2};
    uint32_t size = length;
    char control[CMSG_SPACE(sizeof files)] = {0};
    struct iovec piece = {&size, sizeof size};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof files);
    memcpy(CMSG_DATA(rights), files, sizeof files);
    return sendmsg(server, &header, MSG_NOSIGNAL) == sizeof size ? 0 : -1;
}

static int sent(int server)
{
    for (size_t done = 0; done < length;) {
        ssize_t now = send(server, message + done, length - done, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR)
            return -1;
        done += now > 0 ? now : 0;
    }
    return 0;
}

/* Nothing has begun until the server says so: it may have found something wrong with itself. */
static int begun(int server)
{
    char yes;
    return recv(server, &yes, 1, MSG_WAITALL) == 1;
}

/* The exit status of the program that runs there; the standard files are its alone. */
static int outcome(int server)
{
    int32_t status;
    for (int file = 0; file < 3; file++)
        close(file);
    return recv(server, &status, sizeof status, MSG_WAITALL) == sizeof status ? status : 255;
}

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    int server = count > 3 && !strcmp(arguments[2], "-c") ? connected(arguments[1]) : -1;
    if (server >= 0 && !describe(count - 2, arguments + 2) && !announce(server) && !sent(server) && begun(server))
        return outcome(server);
    arguments[1] = PYTHON;
    execv(PYTHON, arguments + 1);
    return 127;
}
