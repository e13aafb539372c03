/*
 * The smallest CGI program that is fair to measure: linked statically, it
 * answers with one system call and ends.
 */
#include <unistd.h>

int main(void)
{
    static const char reply[] = "Content-Type: text/plain\r\n\r\nhello\n";
    return write(STDOUT_FILENO, reply, sizeof reply - 1) == sizeof reply - 1 ? 0 : 1;
}
