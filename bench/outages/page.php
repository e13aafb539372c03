<?php // What application.py answers, too.
$mode = explode(' ', trim(file_get_contents(getenv('MODE'))));
if ($mode[0] === 'unwell') {
    http_response_code(503);
    exit;
}
$id = $_GET['id'] ?? '';
file_put_contents(getenv('CARRIED_OUT'), "$_SERVER[REQUEST_METHOD] $id\n", FILE_APPEND | LOCK_EX);
usleep((int)($mode[1] * 1e6));
$reply = "$id " . md5(file_get_contents('php://input')) . ' ' . str_repeat($id, 200) . "\n";
header('Content-Type: text/plain');
header('X-Backend: ' . getenv('NAME'));
header('Content-Length: ' . strlen($reply));
echo $reply;
