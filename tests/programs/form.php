#!/usr/bin/php-cgi
<?php
// A form as PHP programs read it, uploads included.
header('Content-Type: text/plain');
header('X-From: php');
setcookie('one', '1');
ksort($_POST);
foreach ($_POST as $name => $value)
    echo "$name=$value\n";
foreach ($_GET as $name => $value)
    echo "get $name=$value\n";
foreach ($_FILES as $name => $file)
    echo "$name=", $file['name'], ' md5=', md5_file($file['tmp_name']), "\n";
echo 'method=', $_SERVER['REQUEST_METHOD'], ' path=', $_SERVER['PATH_INFO'] ?? '', ' sapi=', PHP_SAPI, "\n";
