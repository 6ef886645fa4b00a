#!/bin/sh
# Runs the contract suites on AWS's DynamoDB Local. Usage: run.sh <folder with DynamoDBLocal.jar> [port]. See README.md beside this file.
set -eu
folder=${1:?name the folder that holds DynamoDBLocal.jar}
port=${2:-8123}
# Seconds until it must listen: Java takes three, a busy machine many.
start_max_s=60
root=$(cd "$(dirname "$0")/../../.." && pwd)

cd "$folder"
java -Djava.library.path=./DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory -port "$port" -disableTelemetry &
engine=$!
trap 'kill $engine' EXIT
for _ in $(seq "$start_max_s"); do
  kill -0 $engine
  if curl --silent --output /dev/null "http://127.0.0.1:$port"; then break; fi
  sleep 1
done

cd "$root"
BATON_TEST_DYNAMODB_ENDPOINT="http://127.0.0.1:$port" npm run --silent unit -- \
  test/contracts test/runtime/aws/dynamo-store.test.ts --testNamePattern "127.0.0.1:$port"
