// Tells which code of an executable a command runs: each 16 bytes of it, by its offset in memory, when it is first come to. All
// processes and threads that run the executable are stepped through, one instruction at a time; others go at their own speed. It ends
// when nobody has run the executable for a while since the command has ended.
//
// usage: steps OUTPUT EXECUTABLE [ARGUMENT...]
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRAIN = 16, LARGEST = 64 << 20, TASKS = 1024, WHILE = 2 };

static unsigned char seen[LARGEST / GRAIN];
static pid_t strangers[TASKS];
static int stranger_count;

static int is_stranger(pid_t task)
{
    for (int i = 0; i < stranger_count; i++)
        if (strangers[i] == task)
            return 1;
    return 0;
}

static void mark_stranger(pid_t task, int is)
{
    for (int i = 0; i < stranger_count; i++)
        if (strangers[i] == task)
            strangers[i--] = strangers[--stranger_count];
    if (is && stranger_count < TASKS)
        strangers[stranger_count++] = task;
}

// Where a task has the executable, or 0 if it runs another one.
static unsigned long base_of(pid_t task, const char *executable)
{
    char path[64], line[4096];
    unsigned long base = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", task);
    FILE *maps = fopen(path, "r");
    while (maps && !base && fgets(line, sizeof line, maps))
        if (strstr(line, executable))
            base = strtoul(line, NULL, 16);
    if (maps)
        fclose(maps);
    return base;
}

static void note(FILE *output, pid_t task, unsigned long base)
{
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, task, 0, &registers))
        return;
    unsigned long at = registers.rip - base;
    if (at < LARGEST && !seen[at / GRAIN]) {
        seen[at / GRAIN] = 1;
        fprintf(output, "%lx\n", at);
    }
}

static void nothing(int signal)
{
    (void)signal;
}

static pid_t begin(char **command)
{
    pid_t child = fork();
    if (child == 0) {
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(command[0], command);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC);
    ptrace(PTRACE_CONT, child, 0, 0);
    return child;
}

int main(int count, char **words)
{
    FILE *output = count > 2 ? fopen(words[1], "w") : NULL;
    if (!output) {
        fprintf(stderr, "usage: steps OUTPUT EXECUTABLE [ARGUMENT...]\n");
        return 2;
    }
    pid_t first = begin(words + 2);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    unsigned long base = 0;
    int status, result = -1;
    for (pid_t task; (task = waitpid(-1, &status, __WALL)) > 0;) {
        if (task == first && !WIFSTOPPED(status))
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        if (result >= 0)
            alarm(WHILE);
        if (!WIFSTOPPED(status))
            continue;
        int stop = WSTOPSIG(status), event = status >> 16, pass = 0;
        if (event == PTRACE_EVENT_EXEC) {
            unsigned long found = base_of(task, words[2]);
            base = found ? found : base;
            mark_stranger(task, !found);
        } else if (stop == SIGTRAP && !event) {
            note(output, task, base);
        } else if (stop != SIGTRAP && stop != SIGSTOP) {
            pass = stop;
        }
        ptrace(is_stranger(task) ? PTRACE_CONT : PTRACE_SINGLESTEP, task, 0, pass);
    }
    return result;
}
