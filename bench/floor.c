// The least that a container takes: namespaces, an overlay of a root file system, /proc, loopback, and nothing that remembers it.
// usage: floor ROOTFS SCRATCH COMMAND [ARGUMENT...]
#define _GNU_SOURCE
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char upper[4096], work[4096], root[4096], options[16384];

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        _exit(125);
    }
}

static int child(void *command) {
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    check(mount("overlay", root, "overlay", 0, options), "overlay");
    check(chdir(root), "chdir");
    check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(ioctl(socket_, SIOCSIFFLAGS, &loopback), "lo");
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount");
    check(chdir("/"), "chdir /");
    execvp(((char **)command)[0], command);
    perror("execvp");
    return 127;
}

int main(int count, char **arguments) {
    if (count < 4) return 2;
    char own[4096];
    snprintf(own, sizeof own, "%s/%d", arguments[2], getpid());
    snprintf(upper, sizeof upper, "%s/upper", own);
    snprintf(work, sizeof work, "%s/work", own);
    snprintf(root, sizeof root, "%s/root", own);
    check(mkdir(own, 0700), own);
    check(mkdir(upper, 0755), upper);
    check(mkdir(work, 0700), work);
    check(mkdir(root, 0700), root);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", arguments[1], upper, work);
    static char stack[1 << 16] __attribute__((aligned(16)));
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_VM | CLONE_VFORK | SIGCHLD;
    int pid = clone(child, stack + sizeof stack, flags, arguments + 3);
    check(pid, "clone");
    int status;
    check(waitpid(pid, &status, 0), "waitpid");
    snprintf(options, sizeof options, "%s/work", work);
    rmdir(options);
    rmdir(root);
    rmdir(work);
    rmdir(upper);
    rmdir(own);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
